#!/bin/sh
# In the initial ramdisk of a Secure Execution guest, before encrypted file systems are opened: adds the requests of the
# boot to the secret store, and configures the Crypto Express queues: pvtools-guest(8).
#
#   pvtools.secrets=DEVICE:PATH   the requests: PATH of the table's request (toc.asr) on the file system of DEVICE, which
#                                 is mounted read-only. The host can change it: pvebc checks all before it adds any.
#
# Queues are configured if the ramdisk has /etc/pvapconfig.yaml. What fails is said; the boot goes on, to whatever then
# cannot be opened.
program=@PROGRAM@
root=${PVTOOLS_ROOT:-}
say() { echo "pvtools: $*" >&2; }

[ "$(cat "$root/sys/firmware/uv/prot_virt_guest" 2> /dev/null)" = 1 ] || exit 0
status=0
[ -e "$root/dev/uv" ] || modprobe uvdevice || { say "the module uvdevice cannot be loaded"; status=1; }

# Quotes and globs of the command line are no shell's.
set -f
secrets=
for word in $(cat "$root/proc/cmdline"); do
    case $word in pvtools.secrets=*:*) secrets=${word#pvtools.secrets=} ;; esac
done
set +f

if [ -n "$secrets" ]; then
    device=${secrets%%:*} path=${secrets#*:}
    tries=0
    until [ -e "$device" ] || [ $tries -ge 60 ]; do
        tries=$((tries + 1))
        sleep 0.5
    done
    folder=$root/run/pvtools-secrets
    mkdir -p "$folder"
    # klibc's mount has to be told the type, and its fstype tells it.
    type=
    ! command -v fstype > /dev/null || for word in $(fstype "$device"); do
        case $word in FSTYPE=*) type=${word#FSTYPE=} ;; esac
    done
    if mount ${type:+-t "$type"} -o ro,nodev,nosuid,noexec "$device" "$folder"; then
        "$program" pvebc --toc "$folder/${path#/}" || { say "the secrets of this boot were not all added"; status=1; }
        umount "$folder"
    else
        say "'$device' with the secrets of this boot cannot be mounted"
        status=1
    fi
    # klibc has none.
    ! command -v rmdir > /dev/null || rmdir "$folder"
fi

if [ -e "$root/etc/pvapconfig.yaml" ]; then
    "$program" pvapconfig -c "$root/etc/pvapconfig.yaml" || { say "the queues are not as they should be"; status=1; }
fi
exit $status
