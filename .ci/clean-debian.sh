# shellcheck shell=sh
# Sourced after fetch.sh and debs.sh: a clean Debian 12 with README's packages, gcc, pkg-config and libssl-dev, and with
# its Rust, 1.85, which is the oldest that the project supports; nothing else. Needs root.
#
# Sets CLEAN_DEBIAN, the folder of a system to copy, made by debootstrap once.

CLEAN_DEBIAN=$PVTOOLS_CACHE/debian-12-rust

make_clean_debian() {
    rm -rf "$CLEAN_DEBIAN" "$CLEAN_DEBIAN.new"
    # apt would have taken libc6-dev along, which gcc recommends.
    LC_ALL=C timeout 1200 debootstrap --variant=minbase --include=gcc,libc6-dev,pkg-config,libssl-dev,rustc-web,cargo-web \
        bookworm "$CLEAN_DEBIAN.new" "$1" > "$PVTOOLS_CACHE/debootstrap.log" 2>&1 || return 1
    rm -f "$CLEAN_DEBIAN.new"/var/cache/apt/archives/*.deb
    mv "$CLEAN_DEBIAN.new" "$CLEAN_DEBIAN"
}

[ "$(id -u)" = 0 ] || leave_out "no clean Debian 12: only root can make one"
[ -d "$CLEAN_DEBIAN" ] || {
    command -v debootstrap > /dev/null || install debootstrap
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || leave_out "no clean Debian 12: apt's configuration has no mirror of Debian"
    patiently make_clean_debian "$mirror" || {
        tail -n 5 "$PVTOOLS_CACHE/debootstrap.log" >&2
        leave_out_or_fail "$PVTOOLS_CACHE/debootstrap.log" "no clean Debian 12"
    }
}
