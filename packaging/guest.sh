#!/bin/sh
# guest.sh [TARGET [CARGO...]]: builds the program of a guest, and prints its path. CARGO is the command to build with.
#
# It aborts where other programs unwind, so it needs no tables for that, a tenth of its size.
set -eu
cd "$(dirname "$0")/.."
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- cargo
RUSTFLAGS="${RUSTFLAGS:-} -Cforce-unwind-tables=no" "$@" build --quiet --locked --profile guest --target "$target" \
    --package pvtools --bin pvtools --no-default-features --features guest >&2
echo "${CARGO_TARGET_DIR:-target}/$target/guest/pvtools"
