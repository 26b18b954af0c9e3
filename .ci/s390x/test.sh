#!/bin/sh
# test.sh [--all | CARGO TEST ARGUMENTS...]: builds the workspace for s390x and runs its tests under user-mode
# emulation: libraries, binaries and whole-program tests, the guest scenarios through the s390x preload library among
# them (rustdoc 1.85 cannot cross-run examples; those run natively). Prints how many ran.
#
# Left out without --all are four whole-program tests that start the program some thousand times each, for what the
# byte order does not touch: the recorded command lines, the certificate matrix, a fault in every file call. Emulated
# they take longer than everything else together; natively they always run.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
everything="--workspace --lib --bins --tests"
# shellcheck disable=SC2086 # words
case ${1:-} in
    --all) set -- $everything ;;
    '') set -- $everything -- --skip as_recorded --skip every_situation_has --skip survives_every_fault ;;
esac
# Emulated code is slow and compiling is not: optimise what runs.
export CARGO_PROFILE_DEV_OPT_LEVEL="${CARGO_PROFILE_DEV_OPT_LEVEL:-1}"
"$here/cargo.sh" build --workspace --locked
# Every test program runs, also after one has failed.
"$here/cargo.sh" test --locked --no-fail-fast "$@" 2>&1 | "$here/../count-tests.sh" "on s390x"
