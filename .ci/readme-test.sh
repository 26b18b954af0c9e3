#!/bin/sh
# readme-test.sh: README's test command as an ordinary user in a clean Debian 12, which has gcc, pkg-config, libssl-dev
# and Debian's Rust, and nothing else: no python3, no openssl, no git. Its Rust, 1.85, is the oldest that the project
# supports. The crates are there, the network is not asked for them. Needs root (chroot, mount namespace).
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh
. .ci/debs.sh
. .ci/clean-debian.sh
crates . --target "$(rustc -vV | sed -n 's/^host: //p')"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cp -a "$CLEAN_DEBIAN/." "$root"
chmod 755 "$root"
mkdir -p "$root/home/dev/.cargo/registry" "$root/home/dev/pvtools"
git ls-files -z | xargs -0 tar -c --ignore-failed-read | tar -x -C "$root/home/dev/pvtools"
for program in python3 openssl git curl; do
    [ ! -e "$root/usr/bin/$program" ] || fail "the clean Debian has $program"
done
# As every installed Debian has it; debootstrap makes none.
echo '127.0.0.1 localhost' > "$root/etc/hosts"
chown -R 1000:1000 "$root/home/dev"
cat > "$root/test" << 'END'
cd ~/pvtools
rustc --version
case $(rustc --version) in
    *" $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)".*) ;;
    *) echo "error: expected the version of Cargo.toml's rust-version"; exit 1 ;;
esac
start=$(date +%s)
status=0
cargo test --workspace || status=$?
echo "cargo test --workspace: $(($(date +%s) - start)) s with the build"
exit $status
END
ROOT=$root CRATES=${CARGO_HOME:-$HOME/.cargo}/registry
export ROOT CRATES
# The mounts go with the namespace.
unshare --mount sh -eu -c '
    mount --rbind /dev "$ROOT/dev"
    mount --rbind /sys "$ROOT/sys"
    mount -t proc proc "$ROOT/proc"
    mount --bind "$CRATES" "$ROOT/home/dev/.cargo/registry"
    exec env -i HOME=/home/dev USER=dev LANG=C.UTF-8 PATH=/usr/bin:/usr/sbin:/bin CARGO_NET_OFFLINE=true \
        $(env | grep -E "^(CARGO_INCREMENTAL|CARGO_PROFILE_DEV_DEBUG|RUST_TEST_THREADS)=[0-9]+$") \
        chroot --userspec=1000:1000 "$ROOT" sh /test
' 2>&1 | .ci/count-tests.sh "in a clean Debian 12"
