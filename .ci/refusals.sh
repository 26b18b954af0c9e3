#!/bin/sh
# refusals.sh: images that the machine refuses, started in QEMU: stage3a must say why, in one sentence on the console, with rc
# and rrc, and stop. Needs qemu-system-s390x and no kernel: none of these images gets that far. `.ci/machine.sh` calls it.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd -P)
command -v qemu-system-s390x > /dev/null || { echo "refusals.sh: left out: qemu-system-s390x is not installed"; exit 75; }
cd "$top"
cargo build --quiet --locked -p pvtools -p pvsim
bin=${CARGO_TARGET_DIR:-$top/target}/debug
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$bin/pvsim" init machine
"$bin/pvsim" init other
(head -c 65544 /dev/zero; echo S390EP; head -c 100000 /dev/zero) > kernel
printf quiet > parmfile
create() { # MACHINE OUTPUT OPTION...
    document=$1/host.crt image=$2
    shift 2
    "$bin/pvtools" pvimg create -q -k "$document" --no-verify -i kernel -p parmfile -o "$image" "$@"
}
create machine good
number() { od -An -tu8 --endian=big -j "$1" -N 8 good | tr -d ' '; } # OFFSET
header=$(number $((0xc008))) ipib=$(number $((0xc014)))
# with OFFSET OCTAL...: the good image with other bytes at OFFSET, as bad
with() {
    cp good bad
    printf "$2" | dd of=bad bs=1 seek="$1" conv=notrunc status=none
}
count=0
refused() { # SENTENCE RC RRC [IMAGE]
    status=0
    timeout 120 "$bin/pvsim" boot machine --image "${4:-bad}" --memory 512 --seconds 100 > console 2>&1 || status=$?
    if [ $status != 1 ] || ! tr -d '\r\n' < console | grep -q "Secure Execution: $1.*rc $2, rrc $3"; then
        echo "refusals.sh: FAILED: expected '$1', rc $2, rrc $3, and exit status 1; found $status and:" >&2
        cat console >&2
        exit 1
    fi
    echo "ok: rc $2, rrc $3: $1"
    count=$((count + 1))
}

create other others
refused 'no key slot fits this machine' 0x0108 0x0005 others
create machine flags --x-pcf 0x1
refused 'this machine does not know a plaintext control flag' 0x0106 0x0030 flags
with $((header + 10)) '\007'
refused 'this machine does not know the version of the SE header' 0x0104 0x0001
with $((header + 0x27)) '\000'
refused 'the SE header has no key slot' 0x010a 0x0040
with $((header + 0x2f)) '\001'
refused 'the size of the encrypted part of the SE header is wrong' 0x010a 0x0039
with $((header + 0x90)) '\377\377\377\377'
refused 'the customer key in the SE header is not valid' 0x0108 0x000b
with $((header + 0x2000)) 'changed by the host'
refused 'the pages do not match the SE header' 0x0102 0x001b
with $((ipib + 0x8a)) '\001\002\003\004\005\006'
refused 'the tweaks of the pages do not match the SE header' 0x0102 0x001c
echo "refusals.sh: $count images refused, each with its sentence"
