#!/bin/sh
# guest.sh [TARGET [CARGO...]]: builds the program of a guest, and prints its path. CARGO is the command to build with.
#
# A panic in it aborts, so there is nothing to unwind: no tables, and nothing of libgcc (crate no-unwind).
#
# For s390x it is built for z15, the first machine with Secure Execution; and it is linked by lld with packed addresses where
# an `ld.lld` on the path can do that (19 or newer). A program with packed addresses needs glibc 2.36.
set -eu
cd "$(dirname "$0")/.."
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- cargo
tables=-Wl,--no-eh-frame-hdr,-T,$PWD/packaging/guest/without-tables.ld
set -- "$@" rustc --quiet --locked --profile guest --target "$target" --package pvtools --bin pvtools \
    --no-default-features --features guest
case $target in
    s390x-*)
        set -- "$@" --config "target.$target.rustflags=['-Ctarget-cpu=z15']" -- -C link-arg="$tables"
        lld=$(ld.lld --version 2> /dev/null | sed -n 's/.*LLD \([0-9]*\)\..*/\1/p')
        [ "${lld:-0}" -lt 19 ] || set -- "$@" -C link-arg=-fuse-ld=lld -C link-arg=-Wl,-z,pack-relative-relocs
        ;;
    *) set -- "$@" -- -C link-arg="$tables" ;;
esac
"$@" >&2
echo "${CARGO_TARGET_DIR:-target}/$target/guest/pvtools"
