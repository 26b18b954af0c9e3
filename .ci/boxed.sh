#!/usr/bin/env bash
# boxed.sh SECONDS COMMAND...: runs tests for that long at most. When the time is up, what had run by then counts: it fails if
# a test had failed or none had passed. For emulation, whose speed depends on the machine most.
set -euo pipefail
seconds=$1
shift
output=$(mktemp)
trap 'rm -f "$output"' EXIT
status=0
timeout --kill-after=10 "$seconds" "$@" > >(tee "$output") 2>&1 || status=$?
[ $status -eq 124 ] || exit $status
passed=$(grep -c '^test .* ok$' "$output" || true)
failed=$(grep -c '^test .* FAILED$' "$output" || true)
echo "boxed.sh: time is up after $seconds s: $passed tests had passed, $failed had failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
