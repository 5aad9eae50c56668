#!/usr/bin/env bash
# run_fuzz.sh [SECONDS] [NAME...]: builds the fuzz preset and runs each target that long on one
# core. Corpora grow in build/fuzz-corpus; a finding stays there and fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -gt 0 ] && shift

[ -e build/fuzz/build.ninja ] || cmake --preset fuzz > build/fuzz-configure.log
cmake --build build/fuzz --target fuzz_all
build/fuzz/bin/fuzz_seeds build/fuzz-corpus

if [ $# -eq 0 ]; then
  set -- $(cd tests/fuzz && ls fuzz_*.cpp | sed 's/^fuzz_//; s/\.cpp$//')
fi
for name in "$@"; do
  corpus=build/fuzz-corpus/fuzz_$name
  mkdir -p "$corpus"
  echo "fuzz_$name: $seconds s"
  if ! build/fuzz/bin/"fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
      -max_len=65536 -print_final_stats=1 -artifact_prefix="build/fuzz-corpus/finding-$name-" \
      "$corpus" > "build/fuzz-corpus/$name.log" 2>&1; then
    tail -n 40 "build/fuzz-corpus/$name.log"
    echo "fuzz_$name found something: build/fuzz-corpus/finding-$name-*" >&2
    exit 1
  fi
  grep -E 'number_of_executed_units|new_units_added' "build/fuzz-corpus/$name.log" || true
done
