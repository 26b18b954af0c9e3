#!/bin/sh
# man.sh: the man pages are correct mdoc (needs the package mandoc).
set -eu
cd "$(dirname "$0")/.."
mandoc -T lint -W warning man/*.[18]
set -- man/*.[18]
echo "$# man pages without a warning"
