#!/usr/bin/env bash
# Installs the Debian packages that building and testing need, if they are not there.
set -euo pipefail
wanted=(
  gcc pkg-config libssl-dev # the openssl crate
  g++                       # libFuzzer
  python3 bash dash         # programs that the tests run in the simulated guest
)
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && { echo "all ${#wanted[@]} packages are installed"; exit 0; }
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
$sudo apt-get update -q
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y --no-install-recommends "${missing[@]}"
