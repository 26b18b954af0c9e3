# shellcheck shell=sh
# Sourced: packages of Debian, unpacked beside the system instead of installed.
# They are those of Debian 12 where a caller does not set suite=trixie.
#
# apt fetches them with lists and a cache of its own, so signatures are checked, but the machine's
# package database, sources and architectures stay as they are. No maintainer script runs.

# Outside the tree: a checkout can be thrown away without downloading again. May be deleted at any time. Where root
# works, tests give up its rights, so everybody has to be able to read it.
if [ -z "${PVTOOLS_CACHE:-}" ]; then
    PVTOOLS_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pvtools-ci
    [ "$(id -u)" != 0 ] || PVTOOLS_CACHE=/var/cache/pvtools-ci
fi
mkdir -p "$PVTOOLS_CACHE"
PVTOOLS_CACHE=$(cd "$PVTOOLS_CACHE" && pwd -P)

fail() { echo "${0##*/}: $*" >&2; exit 1; }

# apt with a state of its own: own_apt get|cache ARGUMENTS...
own_apt() {
    tool=$1
    shift
    state=$PVTOOLS_CACHE/apt/${suite:-bookworm}
    "apt-$tool" -q=2 \
        -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts="$state/none" \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts="$state/none" \
        -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o APT::Architectures::=s390x \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# Fetches the package lists, once a process.
update_lists() {
    suite=${suite:-bookworm}
    case " ${fresh:-} " in *" $suite "*) return 0 ;; esac
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -f $keyring ] || fail "$keyring is missing: install debian-archive-keyring"
    mirror=${PVTOOLS_MIRROR:-http://deb.debian.org/debian}
    state=$PVTOOLS_CACHE/apt/$suite
    mkdir -p "$state/none" "$state/lists/partial" "$state/cache/archives/partial"
    : > "$state/status"
    echo "deb [arch=amd64,s390x signed-by=$keyring] $mirror $suite main" > "$state/sources.list"
    own_apt get update || fail "apt-get update failed"
    fresh="${fresh:-} $suite"
}

# unpack FOLDER PACKAGE...: FOLDER then holds the files of exactly these packages (name, name:arch or
# name:arch=version; * may end a version). Done before with the same list: nothing happens.
unpack() {
    folder=$1
    shift
    [ "$(cat "$folder/.packages" 2> /dev/null)" != "$*" ] || return 0
    update_lists
    rm -rf "$folder" "$folder.debs"
    mkdir -p "$folder" "$folder.debs"
    (cd "$folder.debs" && own_apt get download "$@") || fail "cannot download $*"
    for deb in "$folder.debs"/*.deb; do
        dpkg-deb -x "$deb" "$folder" || fail "cannot unpack $deb"
    done
    rm -rf "$folder.debs"
    # Absolute links are meant for a root folder, which this one is not.
    find "$folder" -type l -lname '/*' | while read -r link; do
        ln -sfn "$folder$(readlink "$link")" "$link"
    done
    # Last: a run that was cut short starts again.
    echo "$*" > "$folder/.packages"
}
