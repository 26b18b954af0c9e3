#!/bin/sh
# initramfs-tools hook: brings the program of a guest, its script and its configuration into the ramdisk.
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
copy_exec @PROGRAM@
copy_file script @EARLY@
[ ! -e /etc/pvapconfig.yaml ] || copy_file configuration /etc/pvapconfig.yaml
# Where they are not part of the kernel.
manual_add_modules uvdevice ap zcrypt zcrypt_cex4
