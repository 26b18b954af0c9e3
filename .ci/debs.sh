# shellcheck shell=sh
# Sourced after fetch.sh: packages of Debian, unpacked beside the system instead of installed.
# They are those of Debian 12 where a caller does not set suite=trixie.
#
# apt fetches them from the mirror that the machine's own configuration names, with lists and a cache of its own. So
# signatures are checked, but the machine's package database, sources and architectures stay as they are. No maintainer
# script runs. Each suite and architecture has its own lists: one that a mirror is just updating spoils no other.

# Outside the tree: a checkout can be thrown away without downloading again. May be deleted at any time. Where root
# works, tests give up its rights, so everybody has to be able to read it.
if [ -z "${PVTOOLS_CACHE:-}" ]; then
    PVTOOLS_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pvtools-ci
    [ "$(id -u)" != 0 ] || PVTOOLS_CACHE=/var/cache/pvtools-ci
fi
mkdir -p "$PVTOOLS_CACHE"
PVTOOLS_CACHE=$(cd "$PVTOOLS_CACHE" && pwd -P)

lists_are_old=

# The mirror of Debian in the machine's own apt configuration, whatever the format: apt itself is asked. Empty if there
# is none.
debian_mirror() {
    [ -z "${PVTOOLS_MIRROR:-}" ] || { echo "$PVTOOLS_MIRROR"; return 0; }
    apt-get update --print-uris 2> /dev/null |
        sed -nE "s,^'([^']*[^/])/+dists/(bookworm|trixie|forky|sid|stable|testing|unstable)/InRelease'.*,\1,p" | head -n 1
}

# apt with a state of its own: own_apt ARCHITECTURE get|cache ARGUMENTS...
own_apt() {
    architecture=$1 tool=$2
    shift 2
    state=$PVTOOLS_CACHE/apt/${suite:-bookworm}-$architecture
    LC_ALL=C timeout 600 "apt-$tool" -q=2 \
        -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts="$state/none" \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts="$state/none" \
        -o APT::Architecture="$architecture" -o APT::Architectures::="$architecture" -o APT::Sandbox::User=root \
        -o Acquire::Languages=none -o Acquire::http::Timeout=30 -o Acquire::Retries=1 -o APT::Update::Error-Mode=any "$@"
}

# fetch_lists ARCHITECTURE: as new as can be had, once a process. Older ones, whose signature was checked when they were
# fetched, are good enough. Fails without any; what apt said is in $PVTOOLS_CACHE/apt/log.
fetch_lists() {
    case " ${fresh:-} " in *" ${suite:-bookworm}-$1 "*) return 0 ;; esac
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -f $keyring ] || fail "$keyring is missing: install debian-archive-keyring"
    mirror=$(debian_mirror)
    state=$PVTOOLS_CACHE/apt/${suite:-bookworm}-$1
    mkdir -p "$state/none" "$state/lists/partial" "$state/cache/archives/partial"
    : > "$state/status"
    [ -n "$mirror" ] || {
        echo "E: failed to fetch: apt's configuration has no mirror of Debian; PVTOOLS_MIRROR can name one" > "$PVTOOLS_CACHE/apt/log"
        return 1
    }
    echo "deb [arch=$1 target=Packages signed-by=$keyring] $mirror ${suite:-bookworm} main" > "$state/sources.list"
    patiently ask_for_lists "$1" || {
        set -- "$1" "$state"/lists/*_Packages*
        [ -e "$2" ] || return 1
        lists_are_old=1
        echo "debs.sh: no new lists of ${suite:-bookworm} for $1 ($(first_complaint "$PVTOOLS_CACHE/apt/log")); those of $(date -r "$2" +%F) do" >&2
    }
    fresh="${fresh:-} ${suite:-bookworm}-$1"
}

# A cache between here and the mirror is asked to look again (No-Cache).
ask_for_lists() {
    own_apt "$1" get -o Acquire::http::No-Cache=true update > "$PVTOOLS_CACHE/apt/log" 2>&1
}

# unpack FOLDER PACKAGE...: FOLDER then holds the files of exactly these packages (NAME:ARCHITECTURE or
# NAME:ARCHITECTURE=VERSION; * may end a version, and "all" is an architecture). Done before with the same list: nothing
# happens. If the network does not give them, the step is left out.
unpack() {
    folder=$1
    shift
    ! is_unpacked "$folder" "$@" || return 0
    mkdir -p "$PVTOOLS_CACHE/apt"
    # Two runs at once: the second finds what the first has unpacked.
    exec 9> "$PVTOOLS_CACHE/lock"
    flock 9
    is_unpacked "$folder" "$@" || unpack_anew "$folder" "$@"
    exec 9>&-
}

is_unpacked() {
    folder=$1
    shift
    [ "$(cat "$folder/.packages" 2> /dev/null)" = "$*" ]
}

unpack_anew() {
    folder=$1
    shift
    rm -rf "$folder.new" "$folder.debs"
    mkdir -p "$folder.new" "$folder.debs"
    for architecture in amd64 s390x; do
        chosen=
        for package; do
            case $package in
                *:"$architecture" | *:"$architecture"=*) chosen="$chosen $package" ;;
                # The lists of each architecture have these.
                *:all) [ $architecture = s390x ] || chosen="$chosen $package" ;;
            esac
        done
        # shellcheck disable=SC2086 # several packages
        [ -z "$chosen" ] || download "$folder.debs" $architecture $chosen
    done
    for deb in "$folder.debs"/*.deb; do
        dpkg-deb -x "$deb" "$folder.new" || fail "cannot unpack $deb"
    done
    rm -rf "$folder.debs" "$folder"
    # Absolute links are meant for a root folder, which this one is not.
    find "$folder.new" -type l -lname '/*' | while read -r link; do
        ln -sfn "$folder$(readlink "$link")" "$link"
    done
    echo "$*" > "$folder.new/.packages"
    # Last: a run that was cut short starts again.
    mv "$folder.new" "$folder"
}

# download FOLDER ARCHITECTURE PACKAGE...
download() {
    debs=$1 architecture=$2
    shift 2
    ! { fetch_lists "$architecture" && patiently ask_for_packages "$@"; } || return 0
    log=$PVTOOLS_CACHE/apt/log
    # With old lists, a version that is not in them is the mirror's fault too.
    [ -n "$lists_are_old" ] || is_of_the_network "$log" || { cat "$log" >&2; fail "cannot download $*"; }
    leave_out "no ${1%%:*} ($(first_complaint "$log"))"
}

ask_for_packages() {
    (cd "$debs" && own_apt "$architecture" get download "$@") > "$PVTOOLS_CACHE/apt/log" 2>&1
}
