#!/bin/sh
# fuzz.sh: a short run of every fuzz target. libFuzzer is C++ (root: g++ is installed when missing).
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh
command -v g++ > /dev/null || install g++
crates fuzz --target "$(rustc -vV | sed -n 's/^host: //p')"
fuzz/run -n "${1:-20000}"
