#!/bin/sh
# locks.sh: brings the lock files of the crates outside the workspace (fuzz/, compat/) up to date after the
# dependencies of a crate in it have changed. CI builds with --locked and fails while they are stale.
set -eu
cd "$(dirname "$0")/.."
for manifest in fuzz/Cargo.toml compat/s390-pv/Cargo.toml; do
    cargo metadata --format-version 1 --manifest-path "$manifest" > /dev/null
done
git diff --stat -- fuzz/Cargo.lock compat/s390-pv/Cargo.lock
