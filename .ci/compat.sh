#!/bin/sh
# compat.sh: requests of pvtools and of IBM's library s390_pv (crates.io), each read by the other, and the verdicts of
# both on the certificate matrix. Needs libcurl's headers, which nothing else of the project does (root: installed when
# missing).
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh
pkg-config --exists libcurl 2> /dev/null || install libcurl4-openssl-dev
crates compat/s390-pv --target "$(rustc -vV | sed -n 's/^host: //p')"
PVTOOLS_KEEP_MATRIX=$(mktemp -d)
trap 'rm -rf "$PVTOOLS_KEEP_MATRIX"' EXIT
export PVTOOLS_KEEP_MATRIX
cargo test --locked --quiet --workspace --test matrix
cargo test --locked --quiet --workspace --test suite certificate_matrix
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
cargo test --locked --manifest-path compat/s390-pv/Cargo.toml -- --nocapture 2>&1 | .ci/count-tests.sh "against s390_pv"
