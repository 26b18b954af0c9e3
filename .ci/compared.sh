#!/bin/sh
# compared.sh: how many command lines are compared with what s390-tools did (fixtures/recorded), or fails. With
# PVTOOLS_REFERENCE=DIR, a folder with its programs, also side by side with those.
set -eu
cd "$(dirname "$0")/.."
output=$(mktemp)
trap 'rm -f "$output"' EXIT
cargo test --quiet --locked --test suite -- --nocapture recorded side_by_side > "$output" 2>&1 || { cat "$output"; exit 1; }
awk '
    { sub(/^\.+/, "") }
    / recorded command lines compared with our own inputs/ { rows += $2; different += $(NF - 4); tools[$1] }
    / compared|^left out / { print }
    END {
        for (tool in tools) count += 1
        printf "%d command lines of %d tools compared with the recording, %d of them deliberately different\n", rows, count, different
        exit rows < 300
    }' "$output"
