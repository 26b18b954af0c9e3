#!/bin/sh
# cargo.sh COMMAND [ARGUMENTS...]: cargo for s390x, for example `.ci/s390x/cargo.sh test -p uvtypes --lib`.
# Tests run under emulation. Output goes to target/s390x: another compiler than the host's.
set -eu
PVTOOLS_CI=$(cd "$(dirname "$0")/.." && pwd -P)
. "$PVTOOLS_CI/s390x/setup.sh"
register_emulator || echo "cargo.sh: no binfmt_misc: tests that start a program of ours will fail" >&2
cd "$PVTOOLS_CI/.."
command=$1
shift
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target/s390x}"
unset RUSTC_WRAPPER CARGO_BUILD_RUSTC_WRAPPER RUSTFLAGS
exec "$RUST_1_85/bin/cargo" "$command" --target s390x-unknown-linux-gnu "$@"
