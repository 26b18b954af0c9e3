#!/bin/sh
# guest.sh: builds the program of a guest, for this machine and for s390x, looks at its size and at the libraries that it
# links, and runs the tests of what a guest does with it; for s390x, a handful under emulation (.ci/s390x/test.sh --guest
# runs more).
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh

# looked_at TARGET PROGRAM LIMIT: the limit is in bytes.
looked_at() {
    size=$(stat -c %s "$2")
    echo "$1: $size bytes"
    [ "$size" -lt "$3" ] || fail "$1: expected less than $3 bytes"
    libraries=$(readelf -d "$2" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
    echo "$1: links $libraries"
    for library in $libraries; do
        case $library in
            libc.so.6 | ld*.so.*) ;;
            *) fail "$1: expected the C library alone, found $library" ;;
        esac
    done
}

# starts RUNNER PROGRAM: every tool of it says how it is used; what fails says why, and does so where a backtrace is asked
# for and cannot be had.
starts() {
    tools=$($1 "$2" --list)
    for tool in $tools; do
        RUST_BACKTRACE=1 $1 "$2" "$tool" --help | grep -q Usage: || fail "$tool: no help"
    done
    status=0
    said=$(RUST_BACKTRACE=1 $1 "$2" pvsecret add /nonexistent 2>&1) || status=$?
    [ $status = 1 ] || fail "pvsecret add: expected status 1, found $status: $said"
    case $said in "error: "*/nonexistent*) ;; *) fail "pvsecret add: expected the name of the file, found: $said" ;; esac
    status=0
    $1 "$2" pvattest verify > /dev/null 2>&1 || status=$?
    [ $status != 0 ] || fail "pvattest verify: expected a refusal"
    echo "starts: $(echo "$tools" | wc -w) tools"
}

target=$(rustc -vV | sed -n 's/^host: //p')
program=$(packaging/guest.sh "$target")
case $program in /*) ;; *) program=$PWD/$program ;; esac
looked_at "$target" "$program" 1200000
starts '' "$program"
PVTOOLS_GUEST_PROGRAM=$program cargo test --locked -q --workspace --test suite -- guest pvapconfig pvebc pvinfo zcrypt pvattest pvsecret_guest

on_s390x() (
    PVTOOLS_CI=$PWD/.ci
    . .ci/s390x/setup.sh
    CARGO_TARGET_DIR=$PWD/target/s390x
    export CARGO_TARGET_DIR
    target=s390x-unknown-linux-gnu
    program=$(PATH=$S390X_LLD:$PATH packaging/guest.sh $target .ci/s390x/cargo.sh)
    looked_at $target "$program" 1200000
    starts "$S390X_QEMU" "$program"
)
case $target in
    s390x-*) ;;
    x86_64-*)
        status=0
        on_s390x || status=$?
        [ $status = 0 ] || [ $status = 75 ] || exit $status
        ;;
    *) left_out "guest: s390x: cross-built from x86_64 alone" ;;
esac
