#!/bin/sh
# fuzz.sh [INPUTS [SECONDS]]: a short run of every fuzz target: so many inputs, or as many as there is time for.
# libFuzzer is C++ (root: g++ is installed when missing).
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh
command -v g++ > /dev/null || install g++
crates fuzz --target "$(rustc -vV | sed -n 's/^host: //p')"
fuzz/run -n "${1:-20000}" -t "${2:-8}"
