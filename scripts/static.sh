#!/usr/bin/env bash
# Builds both programs without a need of any library on the machine, into target/static, and runs
# them where there is nothing else. They are for images that hold nothing but them: on a machine
# with a system, the C library of that system should be used, which is mended with it, and which
# alone can load the machine's own ways of looking up names (nsswitch.conf).
set -euo pipefail
cd "$(dirname "$0")/.."

# The flag is for the last step only, which links: libraries of Rust are the same with and without
# it, so of a release that is built already only those are built again that the two programs alone
# want with fewer features. Cargo calls both results by one name; these are copied away, and the
# next `cargo build --release` makes the others again.
folder=${CARGO_TARGET_DIR:-target}
rm -rf target/static
mkdir -p target/static
for pair in node:hostquorumd cli:hostquorum; do
  cargo rustc --locked --release --package "${pair%%:*}" --bin "${pair##*:}" -- -C target-feature=+crt-static
  cp "$folder/release/${pair##*:}" target/static
done

scripts/empty-root.sh target/static
