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
expect 'a request for this machine' 0 '*' pvtools pvsecret create -k /machine/host.crt --no-verify \
    --hdr /machine/se.hdr -o request association secret --output-secret sent
expect 'the ultravisor opens it and takes the secret' 0 '*Success*' pvtools pvsecret add request
expect 'the list has it' 0 '*number of secrets: 1*Association:*' pvtools pvsecret list
expect 'a list of the long form, as json' 0 '*"secrets"*' pvtools pvsecret list --format json -
sent=$(od -An -v -tx1 sent | tr -d ' \n')
expect 'what the machine has is what was sent' 0 "*$sent*" pvsim show /machine --format json
head -c 100 request > cut.request
expect 'a request that is cut is refused' 1 'error: *' pvtools pvsecret add cut.request
expect 'an attestation request' 0 '*' pvtools pvattest create -k /machine/host.crt --no-verify \
    -o attreq -a arpk --add-data phkh-img,phkh-att,secret-store-hash,firmware-state
echo nonce-of-the-guest > user-data
expect 'the ultravisor answers it' 0 '*' pvtools pvattest perform -u user-data attreq attresp
expect 'the answer holds for the image' 0 '*' pvtools pvattest verify -i attresp --hdr /machine/se.img -a arpk
expect 'user data, host keys and store are as they should be' 0 '*' pvtools pvattest check attresp - \
    --hdr /machine/se.img -a arpk -u user-data -k /machine/host.crt --host-key-check att-key-hash \
    --host-key-check boot-key-hash --secret request --secret-store-locked false
expect 'lock' 0 '*' pvtools pvsecret lock
expect 'nothing can be added behind the lock' 1 '*0x0102*' pvtools pvsecret add --force request
expect 'a locked store cannot be locked again' 1 '*0x0102*' pvtools pvsecret lock
pvsim reboot /machine
expect 'a reboot empties the store' 0 '*number of secrets: 0*' pvtools pvsecret list
pvsim fault /machine EIO
expect 'an errno of the driver reaches the user' 1 '*Input/output error*' pvtools pvsecret list
kill $server
echo "$checks checks passed on $(uname -m) through /dev/uv"
