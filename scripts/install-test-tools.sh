#!/usr/bin/env bash
# Installs what the tests need besides a Rust toolchain: Pebble, the ACME server
# of Let's Encrypt for tests, and its DNS double. Does nothing if they are there.
set -euo pipefail

missing=()
for tool in pebble pebble-challtestsrv; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi

echo "The tests need ${missing[*]}." >&2
if ! command -v apt-get >/dev/null; then
  echo "Install Pebble (https://github.com/letsencrypt/pebble) so that both are on the PATH." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "Run once: sudo apt-get install pebble" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet --quiet </dev/null
apt-get install --quiet --yes --no-install-recommends pebble </dev/null
command -v pebble pebble-challtestsrv >/dev/null
