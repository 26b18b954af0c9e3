#!/bin/sh
# test.sh [--libraries | --guest | --all | CARGO TEST ARGUMENTS...]: builds the workspace for s390x and runs its tests under
# user-mode emulation: libraries, binaries and whole-program tests, the guest scenarios through the s390x preload library among
# them (rustdoc 1.85 cannot cross-run examples; those run natively). Prints how many ran.
#
# Left out are, also with --all, pvsim's tests that lead the host's own programs (cat, Python, C) into the guest: these
# are x86_64 here, which no s390x library can be preloaded into, and so are scripts in place of our programs; the preload libraries' own unit tests, which put the
# interposed functions into the emulator's test program itself and hang there. Left out without --all are whole-program
# tests that start the program some thousand times each, for what the byte order does not touch: the recorded command
# lines, programs side by side, the certificate matrix, a fault in every file call, every attestation; and the search of a process's memory,
# which here is the emulator's. Natively they always run.
#
# With --libraries, the unit tests of all libraries alone: what .ci/run does. Whole-program tests have grown by some
# (ptrace, servers, images) that nobody has tried under emulation yet.
#
# With --guest, the tests of what is done in a guest, with the program of a guest: those of .ci/guest.sh but for the ones
# that start it some hundred times each. A whole run of them was not seen yet.
#
# PVTOOLS_S390X_SECONDS is how long the tests may run, once they are built: see boxed.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
chosen='' option=${1:-}
case ${1:-} in
    --all) set -- -- --skip side_by_side::differences_in --skip side_by_side::files_that ;;
    --libraries | --guest) shift ;;
    '') set -- -- --skip as_recorded --skip every_situation_has --skip every_fault --skip every_combination --skip memory:: --skip side_by_side:: ;;
    *) chosen=1 ;;
esac
whole='--lib --bins --tests --exclude pvsim' pvsims='--lib --bins --test cli --test open'
# Of pvsim as of the others: one build for all.
[ "$option" != --libraries ] || whole='--lib --exclude pvtools' pvsims=
"$here/setup.sh"
# Without binfmt_misc, programs cannot start each other.
(PVTOOLS_CI=$here/.. && . "$here/setup.sh" && register_emulator) || {
    . "$here/../fetch.sh"
    left_out "${PVTOOLS_STEP:-s390x}: whole-program tests: this machine allows no binfmt_misc"
    whole='--lib --exclude pvtools' pvsims=
}
# With --all: thousands of processes, of which a sample shows what can differ there.
export PVTOOLS_FAULT_STEP="${PVTOOLS_FAULT_STEP:-11}"
# Emulated code is slow and compiling is not: optimise what runs.
export CARGO_PROFILE_DEV_OPT_LEVEL="${CARGO_PROFILE_DEV_OPT_LEVEL:-1}"
if [ "$option" = --guest ]; then
    case $whole in *--tests*) ;; *) exit 75 ;; esac
    PVTOOLS_GUEST_PROGRAM=$(
        PVTOOLS_CI=$(cd "$here/.." && pwd -P)
        . "$here/setup.sh"
        export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${PVTOOLS_CI%/*}/target/s390x}"
        PATH=$S390X_LLD:$PATH "$PVTOOLS_CI/../packaging/guest.sh" s390x-unknown-linux-gnu "$here/cargo.sh"
    )
    export PVTOOLS_GUEST_PROGRAM
    # The faults are those of the whole program; trouble and a hostile host mean some hundred starts a test, and nothing
    # there depends on the byte order.
    set -- --package pvtools --test suite -- guest pvapconfig:: pvebc pvinfo zcrypt pvattest pvsecret_guest \
        --skip every_fault --skip a_hostile_host
    chosen=1
elif [ -z "${PVTOOLS_S390X_BUILT:-}" ] && [ "$option" != --libraries ]; then
    "$here/cargo.sh" build --workspace --locked
fi
# shellcheck disable=SC2086 # several words
of_the_others() { "$here/cargo.sh" test --locked --workspace --exclude pvsim-preload --exclude pvsim-faults $whole "$@"; }
# shellcheck disable=SC2086 # several words
of_pvsim() { [ -z "$pvsims" ] || "$here/cargo.sh" test --locked --package pvsim $pvsims "$@"; }
# What is limited is the time of the tests, not that of the compiler.
if [ -n "${PVTOOLS_S390X_SECONDS:-}" ] && [ -z "$chosen" ]; then
    of_the_others --no-run
    of_pvsim --no-run
    PVTOOLS_S390X_BUILT=1
    seconds=$PVTOOLS_S390X_SECONDS
    unset PVTOOLS_S390X_SECONDS
    export PVTOOLS_S390X_BUILT
    exec "$here/../boxed.sh" "$seconds" "$0" ${option:+"$option"}
fi
# Every test program runs, also after one has failed.
{
    if [ -n "$chosen" ]; then
        "$here/cargo.sh" test --locked --no-fail-fast "$@"
    else
        of_the_others --no-fail-fast "$@" || true
        of_pvsim --no-fail-fast
    fi
} 2>&1 | "$here/../count-tests.sh" "on s390x"
