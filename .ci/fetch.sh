# shellcheck shell=sh
# Sourced: what a step does about the network.
#
# What cannot be had because of it is left out, with a reason, and does not fail. What can be had has to pass. A step
# that is left out as a whole ends with status 75 (EX_TEMPFAIL).

fail() { echo "${0##*/}: $*" >&2; exit 1; }

# leave_out WHY: ends the step, and says so here and in the list that .ci/run prints at its end.
leave_out() {
    left_out "${PVTOOLS_STEP:-${0##*/}}: $*"
    exit 75
}

# left_out WHAT-AND-WHY: a part of it is left out.
left_out() {
    echo "left out: $*"
    [ -z "${PVTOOLS_LEFT_OUT:-}" ] || echo "$*" >> "$PVTOOLS_LEFT_OUT"
}

# patiently COMMAND...: up to four times, with growing waits between. A mirror that is being updated, or a name that
# is not resolved, may be right a minute later.
patiently() {
    for pause in 3 12 45; do
        ! "$@" || return 0
        echo "again in $pause s: $*" >&2
        sleep "$pause"
    done
    "$@"
}

# leave_out_or_fail LOG WHAT: by whose fault it is.
leave_out_or_fail() {
    is_of_the_network "$1" || fail "$2"
    leave_out "$2 ($(first_complaint "$1"))"
}

# By what apt, curl and cargo say when it is the network's fault or the mirror's.
is_of_the_network() { # FILE
    grep -qiE 'failed to fetch|unable to fetch|cannot initiate|could not (connect|resolve|handshake)|temporary failure|unexpected size|hash sum mismatch|timed? ?out|connection (failed|reset|refused)|network is unreachable|download of .* failed|unable to update registry|resolve host|spurious network error' "$1"
}

# install PACKAGE...: installs these packages of the machine's own distribution where one is missing. If the network does
# not give them, the step is left out.
install() {
    ! has_packages "$@" || return 0
    log=$(mktemp)
    patiently apt_install "$log" "$@" || {
        tail -n 20 "$log" >&2
        leave_out_or_fail "$log" "cannot install $*"
    }
    rm -f "$log"
}

has_packages() {
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'install ok installed' || return 1
    done
}

# apt_install LOG PACKAGE...: with lists as new as can be had.
apt_install() (
    log=$1
    shift
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    export LC_ALL=C DEBIAN_FRONTEND=noninteractive
    options='-q=2 -o DPkg::Lock::Timeout=300 -o Acquire::http::Timeout=30'
    # shellcheck disable=SC2024,SC2086 # the log is ours; several options
    {
        timeout 300 $as_root apt-get $options update
        timeout 900 $as_root apt-get $options install -y --no-install-recommends "$@"
    } > "$log" 2>&1
)

# The first line in FILE that says what went wrong.
first_complaint() { # FILE
    grep -E '^(E|W|Err|error|curl|  )' "$1" | grep -iE 'fail|could|cannot|unable|mismatch|size|found|resolv|time|connect|error' | head -n 1 | sed 's/^[EW]: //' | cut -c1-200
}

# crates FOLDER [CARGO FETCH OPTIONS...]: the locked crates of the workspace there. Those that were fetched before do.
crates() {
    ! (fetch_crates /dev/null "$@" --offline) || return 0
    log=$(mktemp)
    patiently fetch_crates "$log" "$@" || {
        cat "$log" >&2
        leave_out_or_fail "$log" "cannot fetch the crates of $1"
    }
    rm -f "$log"
}

fetch_crates() {
    log=$1 manifest=$2/Cargo.toml
    shift 2
    CARGO_TERM_COLOR=never timeout 600 cargo fetch --locked --manifest-path "$manifest" "$@" > "$log" 2>&1
}
