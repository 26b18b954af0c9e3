#!/bin/sh
# guest.sh [TARGET [CARGO...]]: builds the program of a guest, and prints its path. CARGO is the command to build with.
#
# A panic in it aborts, so there is nothing to unwind: no tables, and nothing of libgcc (crate no-unwind).
set -eu
cd "$(dirname "$0")/.."
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- cargo
tables=-Wl,--no-eh-frame-hdr,-T,$PWD/packaging/guest/without-tables.ld
"$@" rustc --quiet --locked --profile guest --target "$target" --package pvtools --bin pvtools \
    --no-default-features --features guest -- -C link-arg="$tables" >&2
echo "${CARGO_TARGET_DIR:-target}/$target/guest/pvtools"
