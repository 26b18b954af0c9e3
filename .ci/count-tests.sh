#!/bin/sh
# count-tests.sh LABEL: copies cargo test's output from stdin, then adds up its results, and what tests say that they left
# out on this machine. Fails if a test failed, if nothing ran, or if cargo itself stopped on an error.
set -eu
# mawk would wait for a full block of input.
interactive=
case $(readlink -f "$(command -v awk)") in */mawk) interactive='-W interactive' ;; esac
# shellcheck disable=SC2086 # an option or none
exec awk $interactive -v label="$1" -v step="${PVTOOLS_STEP:-tests $1}" -v list="${PVTOOLS_LEFT_OUT:-/dev/null}" '
    { print; fflush() }
    /^test result:/ { passed += $4; failed += $6; ignored += $8; targets += 1 }
    /^error(\[|:)/  { errors += 1 }
    match($0, /left out \([0-9]+\): /) { left += 1; why = substr($0, RSTART + RLENGTH); sub(/^[^ ]*: /, "", why); sub(/ for .*/, "", why); reasons[why] += 1 }
    END {
        printf "tests %s: %d passed, %d failed, %d ignored, %d left out, in %d test programs\n", label, passed, failed, ignored, left, targets
        for (why in reasons) printf "%s: tests or parts of tests: %s (%d times)\n", step, why, reasons[why] >> list
        exit failed > 0 || errors > 0 || passed == 0
    }'
