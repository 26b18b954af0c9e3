#!/bin/sh
# man.sh: the man pages are correct mdoc (needs the package mandoc).
set -eu
cd "$(dirname "$0")/.."
mandoc -T lint -W warning man/*.1
echo "$(ls man/*.1 | wc -l) man pages without a warning"
