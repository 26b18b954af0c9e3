#!/bin/bash
# dracut module: secrets and queues of a Secure Execution guest, before encrypted file systems are opened.

# Asked for by name, or on the machine itself in a guest.
check() {
    require_binaries @PROGRAM@ || return 1
    [[ ! $hostonly ]] || [[ $(cat /sys/firmware/uv/prot_virt_guest 2> /dev/null) == 1 ]] || return 255
    return 0
}

depends() {
    echo systemd
}

installkernel() {
    # Where they are not part of the kernel.
    hostonly='' instmods uvdevice ap zcrypt zcrypt_cex4
}

install() {
    inst_multiple @PROGRAM@ @EARLY@ cat mkdir rmdir sleep modprobe mount umount
    inst_multiple -o /etc/pvapconfig.yaml
    # shellcheck disable=SC2154 # dracut's
    inst_simple "$moddir/pvtools-early.service" "$systemdsystemunitdir/pvtools-early.service"
    $SYSTEMCTL -q --root "$initdir" add-wants sysinit.target pvtools-early.service
}
