#!/bin/sh
# build.sh FOLDER [RPMBUILD OPTIONS...]: builds the rpm packages from the files that git knows, into FOLDER.
# Needs rpmbuild (Debian: package rpm), OpenSSL's headers, and Rust 1.85 or newer from anywhere.
set -eu
[ $# -ge 1 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 1; }
mkdir -p "$1"
out=$(cd "$1" && pwd -P)
shift
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^Version: *//p' packaging/rpm/pvtools.spec)
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
mkdir "$top/SOURCES"
git ls-files -z | xargs -0 tar -cz --transform "s,^,pvtools-$version/," -f "$top/SOURCES/pvtools-$version.tar.gz"
# Kept between builds; --nodeps: Rust need not come from a package.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/package}
export CARGO_TARGET_DIR
rpmbuild --define "_topdir $top" --define "_prefix /usr" --nodeps -bb "$@" packaging/rpm/pvtools.spec
find "$top/RPMS" -name '*.rpm' -exec cp {} "$out" \;
for package in "$out"/*.rpm; do
    echo "${package##*/}:"
    rpm -qlp "$package"
done
