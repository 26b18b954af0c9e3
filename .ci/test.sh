#!/bin/sh
# test.sh: README's test command.
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh
crates . --target "$(rustc -vV | sed -n 's/^host: //p')"
cargo test --workspace 2>&1 | .ci/count-tests.sh "of the workspace"
