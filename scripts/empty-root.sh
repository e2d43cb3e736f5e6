#!/usr/bin/env bash
# Runs the programs of a folder in a root that holds nothing but them and a list of names: they
# need no library, no loader and no shell, and find an address by its name. Needs root.
#
#   scripts/empty-root.sh PROGRAMS
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$1

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/etc"
cp "$programs/hostquorumd" "$programs/hostquorum" "$root"
# A name that only this root knows, of an address where nobody listens.
echo "127.0.0.1 only-here.example" >"$root/etc/hosts"

for program in hostquorumd hostquorum; do
  if readelf --program-headers "$root/$program" | grep --quiet INTERP; then
    echo "$program asks for a loader: it is not static"
    exit 1
  fi
  chroot "$root" "/$program" --version
done
# That it goes as far as a connection tells that the name was found; no member is there.
token=hq1.00000000.$(printf 'a%.0s' {1..52}).1.$(printf 'a%.0s' {1..52})
said=$(echo "$token" | chroot "$root" /hostquorum --config-dir /contexts login --token-file - --name a \
  --address only-here.example:9 2>&1) || true
if [[ $said != *refused* ]]; then
  echo "the name of an address was not found: $said"
  exit 1
fi
# Three nodes of it form a cluster, have certificates issued, serve, and lose their leader. With
# what every container has: /proc, by which it finds itself, and /dev/null.
mkdir "$root/proc" "$root/tmp" "$root/dev"
: >"$root/dev/null"
unshare --mount --propagation private bash -c 'mount -t proc proc "$1/proc" &&
  mount --bind /dev/null "$1/dev/null" && exec chroot "$1" /hostquorumd dev --check --data /dev-data' - "$root"
echo "both programs run in an empty root"
