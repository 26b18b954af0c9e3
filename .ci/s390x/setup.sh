#!/bin/sh
# setup.sh: from a bare Debian 12 (x86_64) to a cross toolchain for s390x, an s390x root folder with glibc
# and OpenSSL, and the user-mode emulator, all unpacked below $PVTOOLS_CACHE (default /var/cache/pvtools-ci,
# without root ~/.cache/pvtools-ci).
# Run again, it does nothing. Sourced, it sets for the caller:
#
#   RUST_1_85      cargo and rustc with the standard library of s390x
#   S390X_ROOT     the s390x root folder
#   S390X_QEMU     the emulator
#   S390X_LLD      a folder with ld.lld, which links smaller programs than ld
#   CARGO_*, CC_*  what cargo and the build scripts of crates read
#
# Programs built with these settings name the loader and the libraries by their path in S390X_ROOT, so
# they run without redirecting any path (qemu's -L would, and would show tests another /etc and /usr).
set -eu
[ "$(uname -m)" = x86_64 ] || { echo "setup.sh: the host has to be x86_64" >&2; exit 1; }
ci=$(cd "${PVTOOLS_CI:-$(dirname "$0")/..}" && pwd -P)
. "$ci/fetch.sh"
. "$ci/debs.sh"
. "$ci/rust-1.85.sh"

library=$PVTOOLS_CACHE/rust-1.85-s390x
unpack "$library" "libstd-rust-web-dev:s390x=$RUST_VERSION"
ln -sfn "$library/usr/lib/rustlib/s390x-unknown-linux-gnu" "$RUST_1_85/usr/lib/rustlib/s390x-unknown-linux-gnu"

S390X_ROOT=$PVTOOLS_CACHE/s390x-root
unpack "$S390X_ROOT" libc6:s390x libc6-dev:s390x linux-libc-dev:s390x libgcc-s1:s390x libssl3:s390x libssl-dev:s390x

tools=$PVTOOLS_CACHE/s390x-tools
unpack "$tools" \
    gcc-12-s390x-linux-gnu:amd64 cpp-12-s390x-linux-gnu:amd64 binutils-s390x-linux-gnu:amd64 \
    libgcc-12-dev-s390x-cross:all \
    libisl23:amd64 libmpc3:amd64 libmpfr6:amd64 libgmp10:amd64 libjansson4:amd64 libctf0:amd64 libctf-nobfd0:amd64 \
    libbinutils:amd64

# Debian 12's emulator answers an ioctl that it does not know with ENOSYS, where Linux says ENOTTY.
suite=trixie
unpack "$PVTOOLS_CACHE/s390x-qemu" qemu-user:amd64
# shellcheck disable=SC2034 # read in debs.sh
suite=bookworm
S390X_QEMU=$PVTOOLS_CACHE/s390x-qemu/usr/bin/qemu-s390x

# gcc finds its parts relative to itself; what it lacks are its libraries and our root folder.
mkdir -p "$tools/bin"
for name in gcc ar strip ld objcopy objdump; do
    case $name in
        gcc) exact="$tools/usr/bin/s390x-linux-gnu-gcc-12 --sysroot=$S390X_ROOT" ;;
        *) exact=$tools/usr/bin/s390x-linux-gnu-$name ;;
    esac
    cat > "$tools/bin/$name.new" << END
#!/bin/sh
LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu PATH=$tools/usr/bin:\$PATH exec $exact "\$@"
END
    chmod 755 "$tools/bin/$name.new"
    mv "$tools/bin/$name.new" "$tools/bin/s390x-linux-gnu-$name"
done

unpack "$PVTOOLS_CACHE/s390x-lld" lld-19:amd64
S390X_LLD=$PVTOOLS_CACHE/s390x-lld/bin
mkdir -p "$S390X_LLD"
# With the compiler's LLVM. A cross gcc looks for it by its own prefix.
cat > "$S390X_LLD/ld.lld.new" << END
#!/bin/sh
LD_LIBRARY_PATH=$RUST_1_85/usr/lib/x86_64-linux-gnu exec $PVTOOLS_CACHE/s390x-lld/usr/lib/llvm-19/bin/ld.lld "\$@"
END
chmod 755 "$S390X_LLD/ld.lld.new"
mv "$S390X_LLD/ld.lld.new" "$S390X_LLD/ld.lld"
ln -sfn ld.lld "$S390X_LLD/s390x-linux-gnu-ld.lld"

libraries=$S390X_ROOT/usr/lib/s390x-linux-gnu
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER="$tools/bin/s390x-linux-gnu-gcc"
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER="$S390X_QEMU"
# Old-style RPATH: it also counts for the libraries of libraries.
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUSTFLAGS="-Clink-arg=-Wl,--dynamic-linker=$S390X_ROOT/lib/ld64.so.1 \
-Clink-arg=-Wl,--disable-new-dtags -Clink-arg=-Wl,-rpath,$S390X_ROOT/lib/s390x-linux-gnu:$libraries ${PVTOOLS_RUSTFLAGS:-}"
export CC_s390x_unknown_linux_gnu="$tools/bin/s390x-linux-gnu-gcc"
export AR_s390x_unknown_linux_gnu="$tools/bin/s390x-linux-gnu-ar"
export S390X_UNKNOWN_LINUX_GNU_OPENSSL_LIB_DIR="$libraries"
export S390X_UNKNOWN_LINUX_GNU_OPENSSL_INCLUDE_DIR="$S390X_ROOT/usr/include"
export RUSTC="$RUST_1_85/bin/rustc" RUSTDOC="$RUST_1_85/bin/rustdoc"

# Lets the kernel start s390x programs, so that one can start another (needs root; kept until a reboot).
register_emulator() {
    folder=/proc/sys/fs/binfmt_misc
    [ -e $folder/register ] || mount -t binfmt_misc binfmt_misc $folder 2> /dev/null || return 1
    entry=$folder/pvtools-s390x
    if [ -e $entry ]; then
        ! cmp -s "$(sed -n 's/^interpreter //p' $entry)" "$S390X_QEMU" || return 0
        echo -1 > $entry || return 1
    fi
    # Magic: ELF, 64 bit, big-endian, executable or shared object, machine 22. Flags: the emulator is
    # opened now and works in any root folder (F); argv[0] is kept (P).
    magic='\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16'
    mask='\xff\xff\xff\xff\xff\xff\xff\xfc\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff'
    printf '%s' ":pvtools-s390x:M::$magic:$mask:$S390X_QEMU:FP" > $folder/register
}
