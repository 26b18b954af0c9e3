#!/bin/sh
# beside.sh FOLDER S390_TOOLS.deb...: installs the packages that build.sh made in FOLDER beside each of these, packages of
# Debian for s390x, in a copy of $PVTOOLS_CLEAN_DEBIAN: in both orders, with the links and without, upgraded while its files
# stand aside, and removed in both orders. After each, all files of the system are what they have to be. What counts of the
# packages are files and scripts; their programs are not started.
set -eu
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 1; }
debs=$1
shift
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cp -a "$PVTOOLS_CLEAN_DEBIAN/." "$root"
mkdir "$root/ours" "$root/theirs"
cp "$debs"/*.deb "$root/ours"
cp "$@" "$root/theirs"

cat > "$root/script" << 'END'
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
fail() { echo "FAILED: $version: $*"; exit 1; }
quietly() { "$@" > /tmp/log 2>&1 || { cat /tmp/log; fail "$@"; }; }
ours() { for name; do quietly dpkg -i /ours/"$name"_*.deb; done; }
# Of another architecture, and without what it depends on.
theirs() { quietly dpkg --force-depends,architecture -i "$1"; }
purge() { quietly dpkg --force-depends -P "$@"; }
# Every file of the system with mode, owner, size, time and target, what s390-tools' are, and who is diverted.
state() {
    find / -xdev ! -type d ! -path '/proc/*' ! -path '/var/*' ! -path '/tmp/*' ! -path /etc/ld.so.cache \
        -printf '%p %y %m %U:%G %s %T@ %l\n' | sort
    find /usr/sbin /usr/bin /usr/share/man -name '*zcrypt*' -type f -exec sha256sum {} + | sort
    dpkg-divert --list | sort
}
note() { state > "/tmp/$1"; }
same() { # STATE WHAT
    state > /tmp/now
    diff "/tmp/$1" /tmp/now > /tmp/difference || { head -n 20 /tmp/difference; fail "expected all files as before: $2"; }
    checks=$((checks + 1))
}
# theirs_stand: their files are in their places, byte by byte as the package has them.
# theirs_stand aside: they stand aside, and by their names ours answer.
theirs_stand() {
    for file in usr/sbin/lszcrypt usr/sbin/chzcrypt usr/share/man/man8/lszcrypt.8.gz usr/share/man/man8/chzcrypt.8.gz; do
        aside=${1:+.s390-tools} packed=/tmp/unpacked/$file
        [ -e "$packed" ] || { packed=/tmp/unpacked/${file#usr/} aside=${1:+.sbin.s390-tools}; }
        cmp "$packed" "/$file$aside" || fail "expected their /$file in /$file$aside"
        checks=$((checks + 1))
    done
    [ -n "$1" ] || return 0
    for name in lszcrypt chzcrypt; do
        [ "$(readlink -f "/usr/sbin/$name")" = /usr/bin/pvtools ] || fail "expected ours by the name $name"
        quietly "$name" --version
        checks=$((checks + 1))
    done
}
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/fast
dpkg --add-architecture s390x
older=
for deb in /theirs/*.deb; do
    version=$(dpkg-deb -f "$deb" Version) checks=0
    rm -rf /tmp/unpacked
    dpkg-deb -x "$deb" /tmp/unpacked
    note nothing

    theirs "$deb"
    note theirs
    ours pvtools
    theirs_stand ''
    note beside
    ours pvtools-compat
    theirs_stand aside
    note instead
    quietly dpkg -r pvtools-compat
    same beside 'without the links again'
    ours pvtools-compat pvtools-guest
    theirs_stand aside
    theirs "$deb"
    theirs_stand aside
    purge pvtools-guest
    same instead 'with the links again, and theirs installed once more'
    purge pvtools-compat pvtools
    same theirs 'ours removed'
    purge s390-tools:s390x
    same nothing 'theirs removed, too'

    ours pvtools pvtools-compat pvtools-guest
    note alone
    theirs "$deb"
    theirs_stand aside
    purge s390-tools:s390x
    same alone 'ours first, theirs removed first'
    theirs "$deb"
    purge pvtools-guest pvtools-compat pvtools
    same theirs 'ours first, and removed first'
    purge s390-tools:s390x
    same nothing 'ours first, and theirs removed, too'

    # The files of the older are where ours wait for them; the newer may have them elsewhere.
    if [ -n "$older" ]; then
        theirs "$older"
        theirs "$deb"
        theirs_stand ''
        note upgraded
        purge s390-tools:s390x
        same nothing 'upgraded without ours, and removed'
        theirs "$older"
        ours pvtools pvtools-compat
        theirs "$deb"
        theirs_stand aside
        purge pvtools-compat pvtools
        same upgraded "upgraded from $(dpkg-deb -f "$older" Version) beside ours"
        purge s390-tools:s390x
        same nothing 'upgraded, and removed'
    fi
    older=$deb
    echo "s390-tools $version: $checks checks passed"
done
END
chroot "$root" sh /script
