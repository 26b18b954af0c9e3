#!/bin/sh
# build.sh FOLDER: builds pvtools_*.deb and pvtools-compat_*.deb from the files that git knows, into FOLDER.
# Needs the Debian packages debhelper, dpkg-dev, libssl-dev, pkgconf, and Rust 1.85 or newer from anywhere.
set -eu
[ $# = 1 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 1; }
mkdir -p "$1"
out=$(cd "$1" && pwd -P)
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/pvtools"
git ls-files -z --recurse-submodules | xargs -0 tar -c | tar -x -C "$work/pvtools"
# Debian's tools look for this folder at the top.
cp -r packaging/deb/debian "$work/pvtools/debian"
# Kept between builds; -d: Rust need not come from a package.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/package}
export CARGO_TARGET_DIR
cd "$work/pvtools"
dpkg-buildpackage -b -us -uc -d
cp "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$out"
