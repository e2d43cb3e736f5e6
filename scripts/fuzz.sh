#!/usr/bin/env bash
# Fuzzes each target of `tests/fuzz` for so many seconds, two at a time:
#   scripts/fuzz.sh SECONDS [TARGET...]
#
# It drives libFuzzer without cargo-fuzz, so that nothing is to be installed but a C++
# compiler, and what others made need not be built once more. The folder has the shape that
# cargo-fuzz expects (--fuzz-dir tests/fuzz).
#
# What was learnt stays in target/fuzz/corpus. An input that breaks a promise stays in
# target/fuzz and belongs, with its cause mended, into tests/fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:?usage: scripts/fuzz.sh SECONDS [TARGET...]}"
shift
if ! command -v "${CXX:-c++}" >/dev/null; then
  echo "libFuzzer needs a C++ compiler: apt-get install g++, or scripts/install-test-tools.sh" >&2
  exit 1
fi

RUSTC_WORKSPACE_WRAPPER="$PWD/scripts/rustc-for-fuzzing.sh" \
  "${CARGO:-cargo}" build --locked --package fuzz --features libfuzzer --bins
built="${CARGO_TARGET_DIR:-target}/debug"
targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
  for main in tests/fuzz/fuzz_targets/*.rs; do
    targets+=("$(basename "$main" .rs)")
  done
fi

# One target; its log only if it fails.
fuzz() {
  local target="$1" log="target/fuzz/$1.log"
  mkdir -p "target/fuzz/corpus/$target"
  if "$built/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="target/fuzz/$target-" \
    "target/fuzz/corpus/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s, $(sed -n 's/^#.*DONE *\(cov: [0-9]*\).*/\1/p' "$log")"
  else
    echo "$target: a promise is broken; the end of $log:" >&2
    tail -n 40 "$log" >&2
    return 1
  fi
}
export -f fuzz
export seconds built
mkdir -p target/fuzz
printf '%s\n' "${targets[@]}" | xargs --max-procs=2 --replace bash -c 'fuzz {}'
