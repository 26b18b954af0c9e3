#!/bin/sh
# test.sh: README's test command.
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh
# Without them, nothing can be tested: that is no success.
(crates . --target "$(rustc -vV | sed -n 's/^host: //p')") || fail "the crates are missing"
cargo test --workspace 2>&1 | .ci/count-tests.sh "of the workspace"
