#!/bin/sh
# build.sh [FOLDER]: builds stage3a.bin and stage3b.bin into FOLDER (default: bin/ beside this script).
#
# RUSTC is a compiler with the standard library of s390x-unknown-linux-gnu, S390X_BINUTILS the prefix of GNU's ld,
# objcopy and objdump for s390x (default: rustc, s390x-linux-gnu-). The committed files come from Debian 12's rustc-web
# 1.85 and binutils-s390x-linux-gnu, by `.ci/loader.sh --update`; the same versions give the same bytes, in any folder.
set -eu
cd "$(dirname "$0")"
out=$(mkdir -p "${1:-bin}" && cd "${1:-bin}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# No variable of the caller's may change the code.
unset RUSTFLAGS RUSTC_WRAPPER
compile() {
    "${RUSTC:-rustc}" --edition 2024 --target s390x-unknown-linux-gnu \
        -C opt-level=z -C panic=abort -C lto=fat -C codegen-units=1 -C embed-bitcode=yes -C debuginfo=0 \
        -C relocation-model=static -C target-cpu=z10 \
        -C metadata=seloader -D warnings --remap-path-prefix "$PWD=/seloader" "$@"
}

compile --crate-name seloader --crate-type rlib -o "$work/libseloader.rlib" src/lib.rs
for stage in stage3a stage3b; do
    compile --crate-name $stage --crate-type bin --emit obj --extern "seloader=$work/libseloader.rlib" \
        -o "$work/$stage.o" freestanding/$stage.rs
    "${S390X_BINUTILS:-s390x-linux-gnu-}ld" --gc-sections --build-id=none -T freestanding/$stage.ld \
        -o "$work/$stage" "$work/$stage.o"
    # The machine may have left the registers for floating point and vectors switched off.
    if "${S390X_BINUTILS:-s390x-linux-gnu-}objdump" -d "$work/$stage" | grep -E '%[fv][0-9]'; then
        echo "build.sh: $stage uses registers for floating point" >&2
        exit 1
    fi
    "${S390X_BINUTILS:-s390x-linux-gnu-}objcopy" -O binary "$work/$stage" "$out/$stage.bin"
    chmod 644 "$out/$stage.bin"
    echo "$stage.bin: $(wc -c < "$out/$stage.bin") bytes"
    [ -z "${KEEP:-}" ] || cp "$work/$stage" "$out/"
done
