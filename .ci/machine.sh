#!/bin/sh
# machine.sh: real s390x kernels on the simulated machine: QEMU boots them from a Secure Execution image, and pvsim plays
# the firmware below. There run the story of `pvsim lab`, and tests that also run under the preload library.
#
# Kernels are packages of Debian, unpacked beside the system. PVTOOLS_MACHINE_SUITES names the suites (default
# "bookworm-backports"); PVTOOLS_MACHINE_SECONDS bounds each boot (default 900).
set -eu
PVTOOLS_CI=$(cd "$(dirname "$0")" && pwd -P)
. "$PVTOOLS_CI/fetch.sh"
command -v qemu-system-s390x > /dev/null || install qemu-system-misc
command -v mke2fs > /dev/null || [ -x /usr/sbin/mke2fs ] || install e2fsprogs
# First what the network has to give, then what takes time.
. "$PVTOOLS_CI/s390x/setup.sh"
unpack "$PVTOOLS_CACHE/s390x-busybox" busybox-static:s390x
seconds=${PVTOOLS_MACHINE_SECONDS:-900}

# The packages of a suite's kernel: newer ones are in several parts.
kernel_packages() {
    name=$(dependencies linux-image-s390x linux-image- | head -n 1)
    [ -n "$name" ] || fail "$suite has no linux-image-s390x"
    for part in "$name" $(dependencies "$name" 'linux-\(binary\|modules\)-'); do printf '%s:s390x ' "$part"; done
}

# dependencies PACKAGE PREFIX
dependencies() {
    own_apt s390x cache depends "$1" | sed -n "s/^ *Depends: \($2[^: ]*\).*/\1/p" | sort -u
}

# The folder of a suite's kernel; what was unpacked before does without the network.
fetch_kernel() {
    vm=$PVTOOLS_CACHE/machine-$suite
    # shellcheck disable=SC2046 # several words
    [ -f "$vm.packages" ] && is_unpacked "$vm" $(cat "$vm.packages") || {
        fetch_lists s390x || leave_out "no lists of $suite for s390x ($(first_complaint "$PVTOOLS_CACHE/apt/log"))"
        packages=$(kernel_packages)
        # shellcheck disable=SC2086 # several words
        unpack "$vm" $packages
        echo "$packages" > "$vm.packages"
    }
}

timed() {
    began=$(date +%s)
    "$@"
    echo "=== $(($(date +%s) - began)) s"
}

suites=
for suite in ${PVTOOLS_MACHINE_SUITES:-bookworm-backports}; do
    # A suite that cannot be had is left out alone.
    status=0
    (fetch_kernel) || status=$?
    case $status in
        0) suites="$suites $suite" ;;
        75) ;;
        *) exit $status ;;
    esac
done
[ -n "$suites" ] || exit 75

export CARGO_PROFILE_DEV_OPT_LEVEL="${CARGO_PROFILE_DEV_OPT_LEVEL:-1}"
"$PVTOOLS_CI/s390x/cargo.sh" build --locked -p pvtools -p pvsim-init --bins
guest=$(PATH="$S390X_LLD:$PATH" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PVTOOLS_CI/../target/s390x}" \
    "$PVTOOLS_CI/../packaging/guest.sh" s390x-unknown-linux-gnu "$PVTOOLS_CI/s390x/cargo.sh")
# From here on with the host's own compiler, and as its tests are built.
unset RUSTC RUSTDOC CARGO_PROFILE_DEV_OPT_LEVEL
cd "$PVTOOLS_CI/.."
cargo build --locked -p pvtools -p pvsim --bins
pvsim=${CARGO_TARGET_DIR:-$PVTOOLS_CI/../target}/debug/pvsim
tools=${CARGO_TARGET_DIR:-$PVTOOLS_CI/../target/s390x}/s390x-unknown-linux-gnu/debug

timed "$PVTOOLS_CI/refusals.sh"
for suite in $suites; do
    vm=$PVTOOLS_CACHE/machine-$suite
    kernel=$(find "$vm" -name 'vmlinuz*' -type f | head -n 1)
    modules=
    for module in uvdevice zcrypt zcrypt_cex4; do
        # A kernel may have it built in.
        modules="$modules $(find "$vm" -name "$module.ko*" | head -n 1)"
    done
    set -- --init "$tools/pvsim-init"
    for module in $modules; do set -- "$@" --module "$module"; done
    echo "=== $suite: ${kernel##*/}"
    timed "$pvsim" lab --kernel "$kernel" --tools "$tools" --seconds "$seconds" "$@"
    timed "$pvsim" scenario "$PVTOOLS_CI/../tests/ap_scenarios.yaml" --in-kernel "$kernel" --tools "$tools" --seconds "$seconds" "$@"
    # The tests that a kernel has to be named for.
    timed env PVTOOLS_KERNEL="$kernel" PVTOOLS_KERNEL_TOOLS="$tools" \
        PVTOOLS_KERNEL_MODULES="$(echo $modules | tr ' ' :)" PVTOOLS_KERNEL_GUEST="$guest" \
        PVTOOLS_KERNEL_BUSYBOX="$PVTOOLS_CACHE/s390x-busybox/bin/busybox" \
        cargo test --locked --test suite -- --ignored --test-threads=1 booted_kernel
done
