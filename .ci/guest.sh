#!/bin/sh
# guest.sh: builds the program of a guest, looks at its size and at the libraries that it links, and runs the tests of what a
# guest does with it.
set -eu
cd "$(dirname "$0")/.."
# The aim is 1,200,000, which is not reached: a quarter is the standard library's own (backtraces, tables to unwind by).
limit=1650000
target=$(rustc -vV | sed -n 's/^host: //p')
program=$(packaging/guest.sh "$target")
size=$(stat -c %s "$program")
echo "$target: $size bytes"
[ "$size" -lt $limit ] || { echo "guest.sh: expected less than $limit bytes" >&2; exit 1; }
libraries=$(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
echo "links: $libraries"
for library in $libraries; do
    case $library in
        libc.so.6 | ld*.so.*) ;;
        *) echo "guest.sh: expected the C library alone, found $library" >&2; exit 1 ;;
    esac
done
case $program in /*) ;; *) program=$PWD/$program ;; esac
PVTOOLS_GUEST_PROGRAM=$program cargo test --locked -q --test suite -- guest pvapconfig pvebc pvinfo zcrypt pvattest
