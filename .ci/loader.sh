#!/bin/sh
# loader.sh [--update]: builds the SE boot loader again and compares it, byte by byte, with the committed
# crates/loader/bin, which --update replaces.
set -eu
ci=$(cd "$(dirname "$0")" && pwd -P)
PVTOOLS_CI=$ci
. "$ci/s390x/setup.sh"
S390X_BINUTILS=$PVTOOLS_CACHE/s390x-tools/bin/s390x-linux-gnu-
export S390X_BINUTILS

loader=$ci/../crates/loader
if [ "${1:-}" = --update ]; then
    exec "$loader/build.sh"
fi
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
# From a copy in another folder: the path must not matter.
cp -R "$loader" "$built/copy"
"$built/copy/build.sh" "$built"
for stage in stage3a stage3b; do
    cmp "$built/$stage.bin" "$loader/bin/$stage.bin" \
        || fail "$stage.bin is not what the sources give: run .ci/loader.sh --update"
done
# cargo fmt does not know them.
rustfmt --check --edition 2024 --config-path "$ci/.." "$loader"/freestanding/*.rs
