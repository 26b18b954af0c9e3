#!/bin/sh
# ramdisks.sh FOLDER [MODULES]: makes initial ramdisks with the real initramfs-tools and dracut, with the hooks of pvtools-guest,
# whose files FOLDER holds, and looks into them; runs the early script with the programs of initramfs-tools; lets systemd
# verify the units. MODULES is /lib/modules/RELEASE of a kernel for s390x; without, modules are not looked for.
#
# All in a copy of $PVTOOLS_CLEAN_DEBIAN, a Debian 12. Needs root, the network, mke2fs.
set -eu
[ $# -ge 1 ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cp -a "$PVTOOLS_CLEAN_DEBIAN/." "$root"
cp -a "$1/." "$root/package"
cp /etc/resolv.conf "$root/etc/resolv.conf"
release=6.12-none
[ $# = 1 ] || release=$(basename "$2")
mkdir -p "$root/lib/modules/$release/kernel/drivers"
[ $# = 1 ] || {
    cp -a "$2"/modules.* "$root/lib/modules/$release"
    cp -a "$2/kernel/drivers/s390" "$root/lib/modules/$release/kernel/drivers"
    touch "$root/with-modules"
}
mkdir "$root/empty"
PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F -t ext2 -d "$root/empty" "$root/disk" 1m > /dev/null

cat > "$root/script" << 'END'
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
fail() { echo "FAILED: $*"; exit 1; }
quietly() { "$@" > /log 2>&1 || { tail -n 30 /log; fail "$@"; }; }
apt() { quietly apt-get -q=2 -o Dpkg::Use-Pty=0 --no-install-recommends install -y "$@"; }
release=$(ls /lib/modules)
quietly apt-get -q=2 update
apt initramfs-tools kmod systemd udev
# /lib is a link here, and may be a folder there.
tar -c -C /package . | tar -x -C / --keep-directory-symlink
depmod "$release"
echo CONFIG_RD_GZIP=y > "/boot/config-$release"
echo '# none' > /etc/pvapconfig.yaml
# has LIST PATTERN...
has() {
    list=$1
    shift
    for pattern; do grep -q "$pattern" "$list" || { cat "$list"; fail "no $pattern in the ramdisk"; }; done
}
parts='usr/bin/pvtools-guest usr/lib/pvtools/early etc/pvapconfig.yaml'
[ ! -e /with-modules ] || parts="$parts /uvdevice.ko /zcrypt.ko /zcrypt_cex4.ko"

for unit in /lib/systemd/system/pvapconfig.* /lib/systemd/system/pvtools-*.service \
    /usr/lib/dracut/modules.d/95pvtools/*.service; do
    systemd-analyze verify --man=no "$unit" 2>&1 || fail "$unit"
done
echo "units: as systemd $(systemctl --version | sed -n '1s/.*(\(.*\))/\1/p') wants them"
# Debian 12's udevadm cannot.
! udevadm --help | grep -qw verify || udevadm verify --no-summary /lib/udev/rules.d/90-pvtools.rules

quietly mkinitramfs -o /initrd "$release"
lsinitramfs /initrd > /list
has /list $parts scripts/init-premount/pvtools
mkdir /initramfs
(cd /initramfs && quietly unmkinitramfs /initrd .)
grep -q '^/scripts/init-premount/pvtools' /initramfs/scripts/init-premount/ORDER || fail 'the script is not run'
echo 'initramfs-tools: all is in the ramdisk'
# The script with what stands there: klibc. The disk has no set, which is what pvebc says.
tree=/initramfs/machine
mkdir -p $tree/sys/firmware/uv $tree/proc $tree/dev
echo 1 > $tree/sys/firmware/uv/prot_virt_guest
touch $tree/dev/uv
if loop=$(losetup -f --show /disk 2> /dev/null); then
    mkdir -p /initramfs/dev
    mount --bind /dev /initramfs/dev
    echo "quiet pvtools.secrets=$loop:/toc.asr" > $tree/proc/cmdline
    status=0
    PVTOOLS_ROOT=/machine chroot /initramfs /bin/sh /usr/lib/pvtools/early > /log 2>&1 || status=$?
    losetup -d "$loop"
    grep -q "pvtools-secrets/toc.asr" /log || { cat /log; fail "expected pvebc's word on the disk, status $status"; }
    ! grep -q -e 'not found' -e 'Usage' /log || { cat /log; fail 'the ramdisk lacks something'; }
    echo 'initramfs-tools: the script mounts a disk'
else
    echo 'left out: the script in the ramdisk of initramfs-tools: no loop device'
fi

apt dracut
quietly dracut --force --kver "$release" --no-hostonly /dracut
lsinitrd /dracut > /list
has /list $parts system/pvtools-early.service sysinit.target.wants/pvtools-early.service
echo 'dracut: all is in the ramdisk'
END
# With mounts that end with it.
# shellcheck disable=SC2016 # for the other shell
unshare --mount --propagation private sh -euc '
    mount --bind /dev "$1/dev"
    mount -t proc proc "$1/proc"
    chroot "$1" sh /script' sh "$root"
