#!/bin/sh
# initramfs-tools: when udev has found the devices, and before file systems are opened (local-top).
[ "$1" != prereqs ] || exit 0
# A failure was said; the boot goes on.
@EARLY@ || true
