#!/usr/bin/env bash
# Installs what the tests need besides a Rust toolchain: Pebble, the ACME server
# of Let's Encrypt for tests, with its DNS double; libfaketime, for a cluster that
# was off for a week; unbound and dig, which ask our DNS server; ip, for a network of the
# tests' own; openssl, as a client that resumes; mkfs.ext4 and python3, for disks whose power can be cut; and a C++ compiler,
# for libFuzzer. Does nothing if they are there.
set -euo pipefail

packages=()
command -v pebble >/dev/null && command -v pebble-challtestsrv >/dev/null || packages+=(pebble)
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || packages+=(libfaketime)
# Debian keeps some where only root's PATH leads.
PATH="$PATH:/usr/sbin:/sbin"
command -v unbound >/dev/null || packages+=(unbound)
command -v ip >/dev/null || packages+=(iproute2)
command -v mkfs.ext4 >/dev/null || packages+=(e2fsprogs)
command -v python3 >/dev/null || packages+=(python3)
command -v openssl >/dev/null || packages+=(openssl)
command -v dig >/dev/null || packages+=(bind9-dnsutils)
command -v c++ >/dev/null || packages+=(g++)
if [ "${#packages[@]}" -eq 0 ]; then
  exit 0
fi

echo "The tests need Debian's ${packages[*]}." >&2
if ! command -v apt-get >/dev/null; then
  echo "Install what those packages hold, so that their programs are on the PATH." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "Run once: sudo apt-get install ${packages[*]}" >&2
  exit 1
fi
# The tests run an unbound of their own: the machine's resolver is to stay as it is.
if [[ " ${packages[*]} " == *" unbound "* ]] && command -v systemctl >/dev/null; then
  systemctl mask --quiet unbound.service || true
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet --quiet </dev/null
apt-get install --quiet --yes --no-install-recommends "${packages[@]}" </dev/null
