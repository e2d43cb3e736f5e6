#!/usr/bin/env bash
# Makes the Debian package of two programs that are built already:
#
#   scripts/package.sh PROGRAMS OUTPUT [FURTHER ARGUMENTS OF cargo-deb]
#
# PROGRAMS is the folder that holds them; the package is written into the folder OUTPUT. What is
# in it stands in `package.metadata.deb` of node/Cargo.toml.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$1 output=$2
shift 2

# What goes with the programs is made by the programs themselves, and brought to where cargo-deb
# looks for what cargo has built, for it knows no other profile than a release.
target=$PWD/target/package
stage=$target/release
rm -rf "$target"
mkdir -p "$stage"/{man,completions,doc,runbooks} "$output"
ln "$programs/hostquorumd" "$programs/hostquorum" "$stage" 2>/dev/null ||
  cp "$programs/hostquorumd" "$programs/hostquorum" "$stage"
"$stage/hostquorum" man "$stage/man/man1"
"$stage/hostquorumd" man "$stage/man/man8"
for shell in bash zsh fish; do
  "$stage/hostquorum" completion "$shell" >"$stage/completions/$shell"
done
cp docs/*.md "$stage/doc"
cp docs/runbooks/*.md "$stage/runbooks"
cp CHANGELOG.md "$stage/doc/changelog"
cargo metadata --format-version 1 --locked --filter-platform "$(rustc --print host-tuple)" |
  deploy/debian/third_party.py node cli >"$stage/doc/third-party"
# Without a name and a time inside, so that the same tree gives the same package.
gzip --best --no-name "$stage"/man/*/* "$stage/doc/changelog" "$stage/doc/third-party"

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export SOURCE_DATE_EPOCH
CARGO_TARGET_DIR=$target target/tools/bin/cargo-deb --quiet --no-build --package node --locked \
  --output "$output" "$@"
rm -rf "$target"
