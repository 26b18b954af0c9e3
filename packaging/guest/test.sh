#!/bin/sh
# test.sh: runs the script of the initial ramdisk in folders that stand for machines, with programs that write down how they
# were called. Checks the syntax of the hooks.
set -eu
cd "$(dirname "$0")"
for script in early.sh initramfs-hook.sh initramfs-script.sh; do sh -n $script; done
bash -n module-setup.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/sys/firmware/uv" "$work/proc" "$work/dev" "$work/etc"
for program in modprobe mount umount pvtools-guest; do
    printf '#!/bin/sh\necho "%s $*" >> "%s"\ncase " $FAILING " in *" %s "*) exit 1 ;; esac\n' \
        $program "$work/calls" $program > "$work/bin/$program"
done
chmod +x "$work"/bin/*
sed "s|@PROGRAM@|$work/bin/pvtools-guest|" early.sh > "$work/early"
failures=0
row() { # NAME EXPECTED_STATUS EXPECTED_CALLS, with FAILING: the programs that fail
    : > "$work/calls"
    status=0
    PVTOOLS_ROOT=$work FAILING=${FAILING:-} PATH="$work/bin:$PATH" sh "$work/early" 2> "$work/said" || status=$?
    calls=$(sed "s|$work||g" "$work/calls" | tr '\n' ';')
    if [ "$status" != "$2" ] || [ "$calls" != "$3" ]; then
        failures=$((failures + 1))
        echo "FAILED: $1: status $status, calls '$calls'; expected $2, '$3'; said: $(cat "$work/said")"
    fi
    [ ! -e "$work/run/pvtools-secrets" ] || { failures=$((failures + 1)); echo "FAILED: $1: the folder has stayed"; }
}
echo > "$work/proc/cmdline"
row 'no guest' 0 ''
echo 1 > "$work/sys/firmware/uv/prot_virt_guest"
: > "$work/dev/uv"
row 'a guest without anything' 0 ''
rm "$work/dev/uv"
row 'no device yet' 0 'modprobe uvdevice;'
FAILING=modprobe row 'no such module' 1 'modprobe uvdevice;'
: > "$work/dev/uv"
: > "$work/etc/pvapconfig.yaml"
row 'queues' 0 'pvtools-guest pvapconfig -c /etc/pvapconfig.yaml;'
: > "$work/disk"
echo "a=* pvtools.secrets=$work/disk:/sics/toc.asr quiet" > "$work/proc/cmdline"
mounted='mount -o ro,nodev,nosuid,noexec /disk /run/pvtools-secrets;'
added="${mounted}pvtools-guest pvebc --toc /run/pvtools-secrets/sics/toc.asr;umount /run/pvtools-secrets;"
queues='pvtools-guest pvapconfig -c /etc/pvapconfig.yaml;'
row 'secrets, then queues' 0 "$added$queues"
# In a ramdisk with klibc.
printf '#!/bin/sh\necho FSTYPE=ext4\necho FSSIZE=4096\n' > "$work/bin/fstype"
chmod +x "$work/bin/fstype"
row 'a mount that has to be told the type' 0 "$(echo "$added" | sed 's/^mount /mount -t ext4 /')$queues"
rm "$work/bin/fstype"
FAILING=pvtools-guest row 'all fails and all is tried' 1 "$added$queues"
FAILING=mount row 'no file system' 1 "$mounted$queues"
[ $failures = 0 ] || exit 1
echo "early: 9 machines as expected"
