#!/bin/sh
# test.sh [CARGO TEST ARGUMENTS...]: builds the workspace for s390x and runs its tests under user-mode
# emulation: libraries, binaries and whole-program tests (rustdoc 1.85 cannot cross-run examples; those run
# natively). Prints how many ran.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
[ $# -gt 0 ] || set -- --workspace --lib --bins --tests
# Emulated code is slow and compiling is not: optimise what runs.
export CARGO_PROFILE_DEV_OPT_LEVEL="${CARGO_PROFILE_DEV_OPT_LEVEL:-1}"
"$here/cargo.sh" build --workspace --locked
# Every test program runs, also after one has failed.
"$here/cargo.sh" test --locked --no-fail-fast "$@" 2>&1 | "$here/../count-tests.sh" "on s390x"
