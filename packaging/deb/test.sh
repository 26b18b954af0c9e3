#!/bin/sh
# test.sh FOLDER: checks the packages that build.sh made in FOLDER with lintian, then installs, runs and removes
# them in a fresh Debian 12, a copy of $PVTOOLS_CLEAN_DEBIAN or made by debootstrap, beside a stand-in for s390-tools
# that has all our names and runs (Debian's own, for s390x alone, has two of them: beside.sh). Needs root and the packages lintian and debootstrap.
set -eu
[ $# = 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 1; }
debs=$(cd "$1" && pwd -P)
lintian --allow-root --fail-on error "$debs"/pvtools_*.changes
echo "lintian: no error"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
if [ -n "${PVTOOLS_CLEAN_DEBIAN:-}" ]; then
    cp -a "$PVTOOLS_CLEAN_DEBIAN/." "$root"
else
    # Its mirror is that of the machine.
    debootstrap --variant=minbase --include=libssl3 bookworm "$root" > "$root.log" 2>&1 || { tail "$root.log"; exit 1; }
    rm "$root.log"
fi

# What s390-tools owns here: a program and its man page.
stand_in=$root/stand-in
mkdir -p "$stand_in/DEBIAN" "$stand_in/usr/bin" "$stand_in/usr/share/man/man1"
cat > "$stand_in/DEBIAN/control" << END
Package: s390-tools
Version: 2.43.0
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: stand-in for s390-tools
END
# Debian 13's has lszcrypt and chzcrypt in /usr/sbin; other distributions' also the others.
for tool in pvsecret pvattest pvextract-hdr pvinfo pvimg pvapconfig pvverify genprotimg; do
    printf '#!/bin/sh\necho stand-in\n' > "$stand_in/usr/bin/$tool"
    echo stand-in | gzip -n > "$stand_in/usr/share/man/man1/$tool.1.gz"
done
mkdir -p "$stand_in/usr/sbin" "$stand_in/usr/share/man/man8"
for tool in lszcrypt chzcrypt; do
    printf '#!/bin/sh\necho stand-in\n' > "$stand_in/usr/sbin/$tool"
    echo stand-in | gzip -n > "$stand_in/usr/share/man/man8/$tool.8.gz"
done
chmod 755 "$stand_in"/usr/bin/* "$stand_in"/usr/sbin/*
dpkg-deb --root-owner-group -b "$stand_in" "$root/s390-tools.deb" > /dev/null
cp "$debs"/*.deb "$root"

cat > "$root/script" << 'END'
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt() { apt-get -q=2 -o Dpkg::Use-Pty=0 --no-install-recommends "$@" > /log 2>&1 || { cat /log; exit 1; }; }
expect() { # EXPECTED WHAT WORDS...
    expected=$1 what=$2
    shift 2
    case "$("$@" 2>&1)" in
        $expected) echo "ok: $what" ;;
        *) echo "FAILED: $what: $* printed: $("$@" 2>&1)"; exit 1 ;;
    esac
}
files() { find / -xdev ! -path '/proc/*' ! -path '/var/*' ! -path '/tmp/*' ! -path /log ! -path '/etc/ld.so.cache' | sort; }

apt install /s390-tools.deb
files > /tmp/before

apt install /pvtools_*.deb
expect 'pvtools *' 'the program starts' pvtools --version
expect '*pvextract-hdr*' 'its tools are there' pvtools --list
expect stand-in 'beside s390-tools it replaces nothing' pvextract-hdr --version

apt install /pvtools-compat_*.deb
expect 'pvextract-hdr *' 'with the links it answers for them' pvextract-hdr --version
for name in $(pvtools --list | grep -e ^pv -e genprotimg); do
    expect '*Usage:*' "$name --help" "$name" --help
done
head -c 32 /dev/zero > /tmp/key
(head -c 65544 /dev/zero; echo S390EP; head -c 100000 /dev/zero) > /tmp/kernel
expect '*host-key document*' 'genprotimg asks for a host key' genprotimg -k /tmp/key -i /tmp/kernel -o /tmp/image --no-verify
rm /tmp/key /tmp/kernel
expect stand-in 'the diverted program still runs' pvextract-hdr.s390-tools

apt install /pvtools-guest_*.deb
expect 'pvtools *' "the guest's program starts" pvtools-guest --version
for name in $(pvtools-guest --list); do
    expect '*Usage:*' "pvtools-guest $name --help" pvtools-guest "$name" --help
done
expect "*is not for guests: it needs OpenSSL*" 'what needs OpenSSL says so' pvtools-guest pvsecret create -k x meta
expect '' 'it links no OpenSSL' sh -c "ldd /usr/bin/pvtools-guest | grep -v -e libc.so -e ld64 -e ld-linux -e linux-vdso -e linux-gate || true"
expect '' 'outside a guest its script does nothing' /usr/lib/pvtools/early
apt purge pvtools-guest

expect '*pvtools*' 'the links of lszcrypt and chzcrypt stand where those of s390-tools are' readlink /usr/sbin/lszcrypt
expect '*Usage:*' 'lszcrypt --help' lszcrypt --help
expect stand-in 'the diverted lszcrypt still runs' lszcrypt.s390-tools
apt purge pvtools-compat
expect stand-in 'and lszcrypt' lszcrypt
expect stand-in 'without the links s390-tools is back' pvextract-hdr --version
expect stand-in 'and its man page' zcat /usr/share/man/man1/pvextract-hdr.1.gz
apt purge pvtools
files > /tmp/after
expect '' 'nothing is left behind' diff /tmp/before /tmp/after
expect '' 'no diversion is left' sh -c 'dpkg-divert --list "*" | grep pvtools || true'
END
chroot "$root" sh /script
echo "installed, run and removed in a clean Debian 12"
