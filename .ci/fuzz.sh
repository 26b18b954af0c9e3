#!/bin/sh
# fuzz.sh [INPUTS [SECONDS]]: a short run of every fuzz target: so many inputs, or as many as there is time for.
# Optimised less than by fuzz/run alone, as the build takes longer than the runs.
# libFuzzer is C++ (root: g++ is installed when missing).
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh
command -v g++ > /dev/null || install g++
crates fuzz --target "$(rustc -vV | sed -n 's/^host: //p')"
CARGO_PROFILE_RELEASE_OPT_LEVEL=1 fuzz/run -n "${1:-100000}" -t "${2:-3}"
