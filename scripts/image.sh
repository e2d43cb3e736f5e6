#!/usr/bin/env bash
# Builds the image of deploy/Containerfile out of the programs in a folder, without a network and
# without a daemon, and looks whether it is what it says:
#
#   scripts/image.sh PROGRAMS FOLDER
#
# It is written to FOLDER/hostquorum.tar as an OCI archive, for `podman load`, `docker load`
# or `skopeo copy`. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$1 context=$2

# Storage of its own, so that nothing of the machine's is touched.
storage=$(mktemp -d)
trap 'rm -rf "$storage"' EXIT
builder=(buildah --root "$storage/root" --runroot "$storage/run" --storage-driver vfs)
rm -rf "$context"
mkdir -p "$context"/{bin,folders/var/lib/hostquorum,folders/etc/hostquorum-keys}
cp "$programs/hostquorumd" "$programs/hostquorum" "$context/bin"
cp /etc/ssl/certs/ca-certificates.crt "$context"
tar --create --file "$context/folders.tar" --directory "$context/folders" --mtime @0 --no-recursion \
  --owner 65532 --group 65532 --numeric-owner --mode 0700 var/lib/hostquorum etc/hostquorum-keys
version=$("$programs/hostquorumd" --version | cut -d ' ' -f 2)

"${builder[@]}" build --quiet --isolation chroot --pull-never --timestamp "$(git log -1 --format=%ct 2>/dev/null || date +%s)" \
  --label org.opencontainers.image.title=hostquorum --label org.opencontainers.image.version="$version" \
  --label org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
  --file deploy/Containerfile --tag "hostquorum:$version" "$context" >/dev/null
"${builder[@]}" push --quiet "hostquorum:$version" "oci-archive:$context/hostquorum.tar:hostquorum:$version"

# What is in it is what the file says and nothing more, whose it is, and that nobody is root.
container=$("${builder[@]}" from --pull-never "hostquorum:$version")
root=$("${builder[@]}" mount "$container")
found=$(cd "$root" && find . -mindepth 1 \( -type f -o -empty \) -printf '%m %U:%G %P\n' | sort)
expected=$(sort <<'END'
755 0:0 usr/bin/hostquorumd
755 0:0 usr/bin/hostquorum
644 0:0 etc/ssl/certs/ca-certificates.crt
700 65532:65532 var/lib/hostquorum
700 65532:65532 etc/hostquorum-keys
END
)
if [ "$found" != "$expected" ]; then
  diff <(echo "$expected") <(echo "$found") || true
  echo "image: something else is in it"
  exit 1
fi
user=$("${builder[@]}" inspect --type image --format '{{.OCIv1.Config.User}}' "hostquorum:$version")
if [ "$user" != 65532:65532 ]; then
  echo "image: it runs as $user"
  exit 1
fi
segments=$(readelf --wide --program-headers "$root/usr/bin/hostquorumd")
if [[ $segments == *INTERP* ]]; then
  # As CI's are, which build nothing anew for this.
  echo "image: its programs need libraries of this machine, so they were not run in it"
else
  # As a container's: that user, that root, and what an engine mounts.
  cat >"$storage/hostquorum.toml" <<'END'
name = "a"
data_dir = "/var/lib/hostquorum"
[key]
file = "/etc/hostquorum-keys/node.key"
[peer]
advertise = "10.0.0.1:7443"
[admin]
advertise = "10.0.0.1:7444"
END
  chmod 0755 "$storage"
  "${builder[@]}" run --isolation chroot --volume "$storage/hostquorum.toml:/etc/hostquorum/hostquorum.toml:ro" \
    "$container" -- /usr/bin/hostquorumd validate
  echo "image: its program has read a configuration, as user 65532"
fi
echo "image: hostquorum:$version, $(stat --format %s "$context/hostquorum.tar") bytes in $context/hostquorum.tar"
