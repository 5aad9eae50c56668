#!/usr/bin/env bash
# Installs the guest runtime's package into an empty folder, builds a project that knows only that
# folder, and runs its guest. Arguments: build tree, program, compiler.
set -euo pipefail
build=$1 program=$2 compiler=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component guest --prefix "$work/prefix" > "$work/install.log"
mkdir "$work/project"
cp "$here/CMakeLists.txt" "$here/consumer.cpp" "$work/project"
cmake -G Ninja -S "$work/project" -B "$work/build" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix" > "$work/configure.log" ||
  { cat "$work/configure.log"; exit 1; }
cmake --build "$work/build" > "$work/build.log" || { cat "$work/build.log"; exit 1; }
"$program" run --memory 32M --kernel "$work/build/consumer.elf" < /dev/null > "$work/out.txt"
grep -q "a guest from elsewhere, GHCB version 2" "$work/out.txt" || { cat "$work/out.txt"; exit 1; }
