#!/bin/sh
# package-crates.sh: packages every library crate as for the registry, and builds each from its package alone, with those
# that it needs taken from the packages made before it (cargo resolves that among the crates of one command since 1.90).
# The simulator is not published: dev-dependencies on it, which have no version, are left out of the packages.
set -eu
cd "$(dirname "$0")/.."

# In the order of their dependencies, for whoever publishes them one by one.
crates="uvtypes seloader sehdr hostkey uvdevice apbus uvrequest seimage uvexplain setrustee"
# shellcheck disable=SC2086 # one argument each
cargo package --locked $(printf -- '-p %s ' $crates) "$@"

for crate in $crates; do
    package=$(echo "${CARGO_TARGET_DIR:-target}/package/$crate"-[0-9]*.crate)
    for file in README.md Cargo.toml; do
        tar -tzf "$package" | grep -q "^$crate-[^/]*/$file\$" || { echo "$package: no $file" >&2; exit 1; }
    done
    tar -tzf "$package" | grep -q "^$crate-[^/]*/examples/.*\.rs\$" || { echo "$package: no example" >&2; exit 1; }
    printf '%s: %s files, %s bytes\n' "$(basename "$package")" "$(tar -tzf "$package" | wc -l)" "$(wc -c < "$package")"
done
