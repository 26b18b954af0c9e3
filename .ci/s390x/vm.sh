#!/bin/sh
# vm.sh: the product in a booted s390x Linux (Debian 12's kernel under qemu-system-s390x). There pvsim-cuse serves
# the simulated machine at a real /dev/uv, and the s390x programs talk to it through the kernel. What is run and
# expected is in vm-guest.sh; its exit status is ours. Needs qemu-system-s390x (root: installed when missing).
set -eu
PVTOOLS_CI=$(cd "$(dirname "$0")/.." && pwd -P)
. "$PVTOOLS_CI/fetch.sh"
command -v qemu-system-s390x > /dev/null || install qemu-system-misc
# First what the network has to give, then what takes time.
. "$PVTOOLS_CI/s390x/setup.sh"
vm=$PVTOOLS_CACHE/s390x-vm
kernel=$(cat "$vm.kernel" 2> /dev/null || true)
[ -n "$kernel" ] && is_unpacked "$vm" "$kernel:s390x" busybox-static:s390x || {
    fetch_lists s390x || leave_out "no lists of Debian for s390x ($(first_complaint "$PVTOOLS_CACHE/apt/log"))"
    kernel=$(own_apt s390x cache depends linux-image-s390x | sed -n 's/^ *Depends: \(linux-image-[^:]*\).*/\1/p' | head -n 1)
    [ -n "$kernel" ] || fail "Debian has no linux-image-s390x"
    unpack "$vm" "$kernel:s390x" busybox-static:s390x
    echo "$kernel" > "$vm.kernel"
}
export CARGO_PROFILE_DEV_OPT_LEVEL="${CARGO_PROFILE_DEV_OPT_LEVEL:-1}"
"$PVTOOLS_CI/s390x/cargo.sh" build --locked -p pvtools -p pvsim -p pvsim-cuse --bins

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/modules" "$root/proc" "$root/sys" "$root/dev" "$root/run/lock" "$root/tmp"
for module in fuse cuse; do
    find "$vm/lib/modules" -name "$module.ko" -exec cp {} "$root/modules/" \;
done
cp "$vm/bin/busybox" "$root/bin/"
built=${CARGO_TARGET_DIR:-$PVTOOLS_CI/../target/s390x}/s390x-unknown-linux-gnu/debug
for program in pvtools pvsim pvsim-cuse; do
    "$PVTOOLS_CACHE/s390x-tools/bin/s390x-linux-gnu-strip" -o "$root/bin/$program" "$built/$program"
done
# The loader and the libraries, where the programs were told to look for them.
for library in ld64.so.1 libc.so.6 libm.so.6 libgcc_s.so.1 libcrypto.so.3 libssl.so.3; do
    found=$(find "$S390X_ROOT/lib" "$S390X_ROOT/usr/lib" -name $library | head -n 1)
    mkdir -p "$root${found%/*}"
    cp -L "$found" "$root$found"
done
mkdir -p "$root$S390X_ROOT/lib"
ln -sfn s390x-linux-gnu/ld64.so.1 "$root$S390X_ROOT/lib/ld64.so.1"
cp "$PVTOOLS_CI/s390x/vm-guest.sh" "$root/vm-guest.sh"
cat > "$root/init" << 'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
sh /vm-guest.sh
echo "vm-guest.sh: exit status $?"
poweroff -f
END
chmod 755 "$root/init"
(cd "$root" && find . | "$S390X_QEMU" "$vm/bin/busybox" cpio -o -H newc 2> /dev/null | gzip -1 > "$work/initrd")

timeout "${VM_SECONDS:-420}" qemu-system-s390x -M s390-ccw-virtio -cpu max -m 1024 -nographic -no-reboot \
    -device virtio-rng-ccw -kernel "$(find "$vm/boot" -name 'vmlinuz-*')" -initrd "$work/initrd" \
    -append 'rdinit=/init quiet loglevel=4 panic=-1' < /dev/null 2>&1 | tr -d '\r' | tee "$work/console"
status=$(sed -n 's/^vm-guest.sh: exit status //p' "$work/console")
[ -n "$status" ] || fail "the machine did not come to the end of vm-guest.sh"
exit "$status"
