#!/usr/bin/env bash
# The project's sources, one a line: what git tracks, or would track. Arguments: endings (cpp hpp).
set -euo pipefail
cd "$(dirname "$0")/.."
patterns=()
for ending in "$@"; do
  patterns+=("*.$ending")
done
git ls-files --cached --others --exclude-standard -- "${patterns[@]}" | sort -u | while read -r file; do
  [ -e "$file" ] && echo "$file"
done
