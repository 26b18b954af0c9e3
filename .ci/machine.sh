#!/bin/sh
# machine.sh: real s390x kernels on the simulated machine: QEMU boots them from a Secure Execution image, and pvsim plays
# the firmware below. The AP scenarios run there, which also run under the preload library, and the story of `pvsim lab`.
#
# Kernels are packages of Debian, unpacked beside the system. PVTOOLS_MACHINE_SUITES names the suites (default
# "bookworm-backports"); PVTOOLS_MACHINE_SECONDS bounds each kernel (default 900). What cannot be had is left out, and
# the last line counts it.
set -eu
PVTOOLS_CI=$(cd "$(dirname "$0")" && pwd -P)
. "$PVTOOLS_CI/debs.sh"
ran=0 left_out=0
leave_out() { echo "machine.sh: left out: $*"; left_out=$((left_out + 1)); }
finish() { echo "machine.sh: $ran kernels ran, $left_out left out"; exit "${1:-0}"; }

command -v qemu-system-s390x > /dev/null || {
    [ "$(id -u)" = 0 ] && apt-get update -q=2 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -q=2 -y --no-install-recommends qemu-system-misc > /dev/null
} || { leave_out "qemu-system-s390x is not installed and cannot be"; finish; }

export CARGO_PROFILE_DEV_OPT_LEVEL="${CARGO_PROFILE_DEV_OPT_LEVEL:-1}"
"$PVTOOLS_CI/s390x/cargo.sh" build --locked -p pvtools -p pvsim-init --bins
cargo build --locked -p pvsim
pvsim=${CARGO_TARGET_DIR:-$PVTOOLS_CI/../target}/debug/pvsim
tools=$PVTOOLS_CI/../target/s390x/s390x-unknown-linux-gnu/debug

# The kernel of a suite: its package, and those that it is made of.
kernel_packages() {
    name=$(own_apt cache depends linux-image-s390x:s390x | sed -n 's/^ *Depends: \(linux-image-[^: ]*\).*/\1/p' | head -n 1)
    [ -n "$name" ] || return 1
    parts=$(own_apt cache depends "$name:s390x" | sed -n 's/^ *Depends: \(linux-\(binary\|modules\)-[^: ]*\).*/\1/p' | sort -u)
    for part in $name $parts; do printf '%s:s390x ' "$part"; done
}

for suite in ${PVTOOLS_MACHINE_SUITES:-bookworm-backports}; do
    (update_lists) && packages=$(kernel_packages) || { leave_out "no kernel of $suite can be had"; continue; }
    vm=$PVTOOLS_CACHE/machine-$suite
    # shellcheck disable=SC2086 # several words
    (unpack "$vm" $packages) || { leave_out "the kernel of $suite cannot be fetched"; continue; }
    kernel=$(find "$vm" -name 'vmlinuz*' -type f | head -n 1)
    set --
    for module in uvdevice zcrypt zcrypt_cex4; do
        set -- "$@" --module "$(find "$vm" -name "$module.ko*" | head -n 1)"
    done
    echo "=== $suite: ${kernel##*/}"
    timeout "${PVTOOLS_MACHINE_SECONDS:-900}" "$pvsim" scenario "$PVTOOLS_CI/../tests/ap_scenarios.yaml" \
        --in-kernel "$kernel" --tools "$tools" --seconds "${PVTOOLS_MACHINE_SECONDS:-900}" "$@" || finish 1
    timeout "${PVTOOLS_MACHINE_SECONDS:-900}" "$pvsim" lab --kernel "$kernel" --tools "$tools" "$@" || finish 1
    ran=$((ran + 1))
done
finish
