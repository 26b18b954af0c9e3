#!/bin/sh
# licences.sh: writes packaging/licences.md anew, after a dependency was added or updated.
set -eu
cd "$(dirname "$0")/.."
table=$(cargo run --locked --quiet --package xtask -- licences)
{
    printf '# Licences of the crates in the program\n\n'
    # shellcheck disable=SC2016 # no command
    printf 'What `cargo run -p xtask -- licences` prints for s390x, from the metadata of the locked crates. CI compares.\n\n'
    printf '%s\n' "$table"
} > packaging/licences.md
