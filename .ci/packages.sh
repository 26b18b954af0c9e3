#!/bin/sh
# Installs the Debian packages that building and testing everything needs, if they are not there.
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh
install gcc pkg-config libssl-dev # README's: the openssl crate
install g++                       # libFuzzer
echo "gcc, pkg-config, libssl-dev and g++ are installed"
