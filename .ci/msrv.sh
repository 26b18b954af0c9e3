#!/bin/sh
# msrv.sh: builds everything with the oldest supported compiler, Debian 12's rustc-web 1.85, as locked in
# Cargo.lock, and runs the tests of libraries and binaries with it.
set -eu
ci=$(cd "$(dirname "$0")" && pwd -P)
. "$ci/fetch.sh"
. "$ci/debs.sh"
. "$ci/rust-1.85.sh"
cd "$ci/.."
export RUSTC="$RUST_1_85/bin/rustc" RUSTDOC="$RUST_1_85/bin/rustdoc"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target/msrv}"
unset RUSTC_WRAPPER CARGO_BUILD_RUSTC_WRAPPER RUSTFLAGS
"$RUST_1_85/bin/rustc" --version
"$RUST_1_85/bin/cargo" build --workspace --all-targets --locked
"$RUST_1_85/bin/cargo" test --workspace --lib --bins --locked 2>&1 | "$ci/count-tests.sh" "with Rust 1.85"
