#!/bin/sh
# test.sh [--all | CARGO TEST ARGUMENTS...]: builds the workspace for s390x and runs its tests under user-mode
# emulation: libraries, binaries and whole-program tests, the guest scenarios through the s390x preload library among
# them (rustdoc 1.85 cannot cross-run examples; those run natively). Prints how many ran.
#
# Left out are, also with --all, pvsim's tests that lead the host's own programs (cat, Python, C) into the guest: these
# are x86_64 here, which no s390x library can be preloaded into, and so are scripts in place of our programs; the preload libraries' own unit tests, which put the
# interposed functions into the emulator's test program itself and hang there. Left out without --all are whole-program
# tests that start the program some thousand times each, for what the byte order does not touch: the recorded command
# lines, programs side by side, the certificate matrix, a fault in every file call, every attestation; and the search of a process's memory,
# which here is the emulator's. Natively they always run.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
chosen=
case ${1:-} in
    --all) set -- -- --skip side_by_side::differences_in --skip side_by_side::files_that ;;
    '') set -- -- --skip as_recorded --skip every_situation_has --skip every_fault --skip every_combination --skip memory:: --skip side_by_side:: ;;
    *) chosen=1 ;;
esac
whole='--lib --bins --tests' of_pvsim='--lib --bins --test cli --test open'
(
    PVTOOLS_CI=$here/..
    . "$here/setup.sh"
    # Without binfmt_misc, programs cannot start each other.
    register_emulator || {
        left_out "${PVTOOLS_STEP:-s390x}: whole-program tests: this machine allows no binfmt_misc"
        exit 3
    }
) || {
    status=$?
    [ $status = 3 ] || exit $status
    whole='--lib --exclude pvtools' of_pvsim=--lib
}
# With --all: thousands of processes, of which a sample shows what can differ there.
export PVTOOLS_FAULT_STEP="${PVTOOLS_FAULT_STEP:-11}"
# Emulated code is slow and compiling is not: optimise what runs.
export CARGO_PROFILE_DEV_OPT_LEVEL="${CARGO_PROFILE_DEV_OPT_LEVEL:-1}"
"$here/cargo.sh" build --workspace --locked
# Every test program runs, also after one has failed.
{
    if [ -n "$chosen" ]; then
        "$here/cargo.sh" test --locked --no-fail-fast "$@"
    else
        # shellcheck disable=SC2086 # several words
        "$here/cargo.sh" test --locked --no-fail-fast --workspace --exclude pvsim --exclude pvsim-preload --exclude pvsim-faults $whole "$@" || true
        "$here/cargo.sh" test --locked --no-fail-fast --package pvsim $of_pvsim
    fi
} 2>&1 | "$here/../count-tests.sh" "on s390x"
