#!/usr/bin/env bash
# figures.sh: what the release program costs: its size, its shared libraries, and how long `--version` takes
# compared with a bare Rust program that links libcrypto and prints a line.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet --package pvtools --bin pvtools
program=${CARGO_TARGET_DIR:-target}/release/pvtools

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 'fn main() { println!("bare 1.0"); }' > "$work/bare.rs"
rustc --edition 2024 -O -C strip=symbols -C link-arg=-Wl,--no-as-needed -C link-arg=-lcrypto -o "$work/bare" "$work/bare.rs"
readelf -d "$work/bare" | grep -q 'NEEDED.*libcrypto'

# Microseconds of one start.
start() {
  local begin=${EPOCHREALTIME/./}
  "$1" --version > /dev/null
  echo $((${EPOCHREALTIME/./} - begin))
}
# Taken in turns, the best of 1000: everything else the machine does only ever adds.
best_ours=999999 best_bare=999999
for _ in {1..1000}; do
  t=$(start "$work/bare")
  ((t >= best_bare)) || best_bare=$t
  t=$(start "$program")
  ((t >= best_ours)) || best_ours=$t
done

echo "size, stripped: $(stat -c %s "$program") bytes (aim: at most 3 MB)"
libraries=$(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | paste -sd' ')
loaded=$(ldd "$program" | grep -vc linux-vdso)
echo "shared libraries: $loaded loaded (aim: at most 6); named by the program: $libraries"
awk -v ours="$best_ours" -v bare="$best_bare" 'BEGIN {
  printf "start of --version: %.2f ms, bare program: %.2f ms, ratio %.2f (aim: 1.2)\n", ours / 1000, bare / 1000, ours / bare }'
