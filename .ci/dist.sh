#!/bin/sh
# dist.sh: everything a distribution touches: deb and rpm packages, the deb's life in a clean Debian 12 and beside
# Debian's s390-tools, a guest's initial ramdisks, and a build without a network. Needs root (chroot, network namespace;
# what is missing is installed).
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh
for program in lintian rpmbuild dh fakeroot; do
    command -v "$program" > /dev/null || { install debhelper fakeroot lintian rpm && break; }
done
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
run_quietly() {
    "$@" > "$out/log" 2>&1 || { tail -n 50 "$out/log"; echo "dist.sh: failed: $*" >&2; exit 1; }
}
# A part that the network does not allow is left out, and the others are not.
part() {
    status=0
    "$@" || status=$?
    [ $status = 0 ] || [ $status = 75 ] || exit $status
}
run_quietly packaging/deb/build.sh "$out/deb"
life() (
    . .ci/debs.sh
    . .ci/clean-debian.sh
    export PVTOOLS_CLEAN_DEBIAN="$CLEAN_DEBIAN"
    packaging/deb/test.sh "$out/deb"
)
part life
beside() (
    . .ci/debs.sh
    . .ci/clean-debian.sh
    export PVTOOLS_CLEAN_DEBIAN="$CLEAN_DEBIAN"
    for suite in bookworm trixie; do
        mkdir "$out/$suite"
        download "$out/$suite" s390x s390-tools
    done
    packaging/deb/beside.sh "$out/deb" "$out"/bookworm/*.deb "$out"/trixie/*.deb
)
part beside
ramdisks() (
    . .ci/debs.sh
    . .ci/clean-debian.sh
    export PVTOOLS_CLEAN_DEBIAN="$CLEAN_DEBIAN"
    dpkg-deb -x "$out"/deb/pvtools-guest_*.deb "$out/guest"
    modules=$(find "$PVTOOLS_CACHE"/machine-*/lib/modules -mindepth 1 -maxdepth 1 2> /dev/null | head -n 1)
    [ -n "$modules" ] || left_out "dist: kernel modules in ramdisks: .ci/machine.sh has not fetched a kernel"
    # shellcheck disable=SC2086 # none or one
    packaging/guest/ramdisks.sh "$out/guest" $modules > "$out/log" 2>&1 || {
        cat "$out/log"
        leave_out_or_fail "$out/log" "no initial ramdisk"
    }
    cat "$out/log"
)
part ramdisks
run_quietly packaging/rpm/build.sh "$out/rpm"
(cd "$out" && ls -l deb/*.deb rpm/*.rpm)
offline() (
    # All of them: also those of other systems are vendored.
    crates .
    packaging/offline.sh
)
part offline
