#!/usr/bin/env bash
# rustc for our own crates in a build of `scripts/fuzz.sh` (RUSTC_WORKSPACE_WRAPPER): with
# the counters that libFuzzer learns from. On any toolchain, as these are LLVM's own
# passes; crates of others are built as always and need not be built again.
exec "$@" \
  -Cpasses=sancov-module \
  -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares
