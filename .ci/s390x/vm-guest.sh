# shellcheck shell=sh
# What runs in the booted s390x Linux: see vm.sh. busybox and the s390x programs are all there is.
set -eu
checks=0
expect() { # WHAT EXIT-STATUS PATTERN COMMAND...
    what=$1 status=$2 pattern=$3
    shift 3
    ended=0
    printed=$("$@" 2>&1) || ended=$?
    # shellcheck disable=SC2254 # it is a pattern
    case "$ended $printed" in
        "$status "$pattern) ;;
        *) echo "FAILED: $what: '$*' ended with $ended (expected $status): $printed"; exit 1 ;;
    esac
    checks=$((checks + 1))
    echo "ok: $what"
}

echo "$(uname -s) $(uname -r) $(uname -m)"
expect 'without a device the error says so' 1 'error: /dev/uv: no such device*' pvtools pvsecret list

pvsim init /machine
insmod /modules/fuse.ko
insmod /modules/cuse.ko
pvsim-cuse /machine &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ ! -c /dev/uv ] || break
    kill -0 $server
    sleep 1
done
expect 'the kernel made a character device' 0 '' test -c /dev/uv

cd /tmp
expect 'an empty store' 0 '*number of secrets: 0*' pvtools pvsecret list
expect 'lock' 0 '*' pvtools pvsecret lock
expect 'a locked store cannot be locked again' 1 '*0x0102*' pvtools pvsecret lock
kill $server
echo "$checks checks passed on $(uname -m) through /dev/uv"
