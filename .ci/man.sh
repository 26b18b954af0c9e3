#!/bin/sh
# man.sh: the man pages are correct mdoc (root: mandoc is installed when missing).
set -eu
cd "$(dirname "$0")/.."
. .ci/fetch.sh
command -v mandoc > /dev/null || install mandoc
mandoc -T lint -W warning man/*.[18]
set -- man/*.[18]
echo "$# man pages without a warning"
