# shellcheck shell=sh
# Sourced after debs.sh: the oldest compiler that the project supports, which is Debian 12's rustc-web.
#
# Sets RUST_1_85, a folder whose bin/ has cargo, rustc and rustdoc, with the standard library of x86_64 (s390x/setup.sh
# adds that of s390x).

# Whichever revision of Debian's.
RUST_VERSION='1.85.*'
RUST_1_85=$PVTOOLS_CACHE/rust-1.85-amd64
unpack "$RUST_1_85" \
    "rustc-web:amd64=$RUST_VERSION" "cargo-web:amd64=$RUST_VERSION" \
    "libstd-rust-web-1.85:amd64=$RUST_VERSION" "libstd-rust-web-dev:amd64=$RUST_VERSION" \
    libllvm19:amd64 libhttp-parser2.9:amd64 libpcre3:amd64 \
    libmbedcrypto7:amd64 libmbedtls14:amd64 libmbedx509-1:amd64

# The programs look for their libraries where the packages would have put them: a wrapper says where
# they are. No program that these start needs another version of one of these libraries.
mkdir -p "$RUST_1_85/bin"
for program in cargo rustc rustdoc; do
    cat > "$RUST_1_85/bin/$program.new" << END
#!/bin/sh
LD_LIBRARY_PATH=$RUST_1_85/usr/lib/x86_64-linux-gnu:$RUST_1_85/lib/x86_64-linux-gnu exec $RUST_1_85/usr/bin/$program "\$@"
END
    chmod 755 "$RUST_1_85/bin/$program.new"
    mv "$RUST_1_85/bin/$program.new" "$RUST_1_85/bin/$program"
done
