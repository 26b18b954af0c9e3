#!/bin/sh
# man.sh: the man pages are correct mdoc (needs the package mandoc).
set -eu
cd "$(dirname "$0")/.."
mandoc -T lint -W warning man/*.1
set -- man/*.1
echo "$# man pages without a warning"
