#!/bin/sh
# dist.sh: everything a distribution touches: man pages, licence table, deb and rpm packages, the deb's life
# in a clean Debian 12, and a build without a network. Needs root (chroot, network namespace).
set -eu
cd "$(dirname "$0")/.."
missing=
for program in lintian debootstrap rpmbuild mandoc dh fakeroot; do
    command -v "$program" > /dev/null || missing="$missing $program"
done
[ -z "$missing" ] || {
    apt-get update -q=2
    DEBIAN_FRONTEND=noninteractive apt-get install -q=2 -y --no-install-recommends \
        debhelper debootstrap fakeroot lintian mandoc rpm > /dev/null
}
.ci/man.sh
cargo run --locked --quiet --package xtask -- licences --check packaging/licences.md
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
run_quietly() {
    "$@" > "$out/log" 2>&1 || { tail -n 50 "$out/log"; echo "dist.sh: failed: $*" >&2; exit 1; }
}
run_quietly packaging/deb/build.sh "$out/deb"
packaging/deb/test.sh "$out/deb"
run_quietly packaging/rpm/build.sh "$out/rpm"
(cd "$out" && ls -l deb/*.deb rpm/*.rpm)
packaging/offline.sh
