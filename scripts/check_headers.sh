#!/usr/bin/env bash
# Every header compiles alone; base/, arch/ and guest/runtime also freestanding, without exceptions
# and RTTI.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${SOFTSNP_JOBS:-$(nproc)}

compile() {
  local flags=(-std=c++20 -fsyntax-only -I. -Wall -Wextra -Werror -Wno-gnu-anonymous-struct)
  case $1 in
    base/*|arch/*|guest/runtime/*|guest/crypto/*|guest/decode/*) flags+=(-ffreestanding -fno-exceptions -fno-rtti) ;;
  esac
  echo "#include \"$1\"" | clang++ "${flags[@]}" -x c++ - 2>&1 || { echo "$1 does not compile alone"; return 1; }
}
export -f compile

scripts/sources.sh hpp | xargs -P "$jobs" -I{} bash -c 'compile {}'
echo "$(scripts/sources.sh hpp | wc -l) headers compile alone"
