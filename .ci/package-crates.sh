#!/bin/sh
# package-crates.sh [OPTION...]: packages every library crate as for the registry, and compiles each with its examples
# from the packages alone. Options go to `cargo package`, such as --allow-dirty.
#
# Cargo's own compile step is left out: it keeps what it has unpacked for as long as the version stays the same, so a
# crate would be compiled with an old package of its neighbour. The simulator is not published: dev-dependencies on it,
# which have no version, are not in the packages, and examples do without.
set -eu
cd "$(dirname "$0")/.."

# In the order of their dependencies, for whoever publishes them one by one.
crates="uvtypes seloader sehdr hostkey uvdevice apbus uvrequest seimage uvexplain setrustee"
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo fetch --locked --quiet
# shellcheck disable=SC2046 # an argument each
cargo package --locked --offline --quiet --no-verify $(printf -- '-p %s ' $crates) "$@"

unpacked=$target/package/unpacked
rm -rf "$unpacked"
mkdir -p "$unpacked"
{
    printf '[workspace]\nresolver = "3"\nmembers = ["*"]\n\n[profile.dev]\ndebug = "line-tables-only"\n\n[patch.crates-io]\n'
    # shellcheck disable=SC2046 # an argument each
    printf '%s = { path = "%s" }\n' $(for crate in $crates; do echo "$crate $crate"; done)
} > "$unpacked/Cargo.toml"
for crate in $crates; do
    package=$(echo "$target/package/$crate"-[0-9]*.crate)
    mkdir "$unpacked/$crate"
    # With new times: those in a package are always the same, and cargo would see no change.
    tar -xzmf "$package" -C "$unpacked/$crate" --strip-components=1
    [ -e "$unpacked/$crate/README.md" ] || { echo "$package: no README" >&2; exit 1; }
    ls "$unpacked/$crate/examples/"*.rs > /dev/null || { echo "$package: no example" >&2; exit 1; }
    printf '%s: %s files, %s bytes\n' "${package##*/}" "$(tar -tzf "$package" | wc -l)" "$(wc -c < "$package")"
done
cp Cargo.lock "$unpacked"
cargo check --offline --manifest-path "$unpacked/Cargo.toml" --target-dir "$target" --workspace --all-features --lib --examples
