#!/bin/sh
# offline.sh: builds the program from vendored sources in an empty cargo home and without a network, as the
# build machines of distributions do. Needs the right to make a network namespace (root has it).
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/source"
git ls-files -z | xargs -0 tar -c | tar -x -C "$work/source"
cd "$work/source"
# What a packager does once, with a network: the crates beside the source, and where cargo finds them.
mkdir .cargo
cargo vendor --locked vendor > .cargo/config.toml 2> "$work/vendor.log" || { cat "$work/vendor.log" >&2; exit 1; }
echo "vendored: $(find vendor -mindepth 1 -maxdepth 1 | wc -l) crates, $(du -sm vendor | cut -f1) MB"
# From here on without one.
mkdir "$work/cargo-home"
CARGO_HOME=$work/cargo-home CARGO_TARGET_DIR=$work/target RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} \
    CARGO_PROFILE_RELEASE_LTO=off unshare --net -- "$(command -v cargo)" build --quiet --release --offline --locked \
    --package pvtools --bin pvtools
"$work/target/release/pvtools" --version
echo "built offline from vendored sources"
