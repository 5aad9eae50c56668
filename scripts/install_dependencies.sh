#!/usr/bin/env bash
# Installs what scripts/dependencies.txt names and is missing. Touches apt only if something is.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
while read -r package; do
  if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
    missing+=("$package")
  fi
done < scripts/dependencies.txt

if [ ${#missing[@]} -eq 0 ]; then
  echo "all packages are installed"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "missing packages: ${missing[*]}" >&2
  echo "run as root, or: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing: ${missing[*]}"
apt-get update -q
apt-get install -y -q --no-install-recommends "${missing[@]}"
