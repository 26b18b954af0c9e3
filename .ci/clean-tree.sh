#!/usr/bin/env bash
# Tests leave nothing behind in the tree.
set -euo pipefail
left=$(git status --porcelain)
[ -z "$left" ] || { echo "the tests changed the tree:"; echo "$left"; exit 1; }
echo "the tree is as it was"
