#!/bin/sh
# count-tests.sh LABEL: copies cargo test's output from stdin, then adds up its results. Fails if a test
# failed, if nothing ran, or if cargo itself stopped on an error.
exec awk -v label="$1" '
    { print; fflush() }
    /^test result:/ { passed += $4; failed += $6; ignored += $8; targets += 1 }
    /^error(\[|:)/  { errors += 1 }
    END {
        printf "tests %s: %d passed, %d failed, %d ignored, in %d test programs\n", label, passed, failed, ignored, targets
        exit failed > 0 || errors > 0 || passed == 0
    }'
