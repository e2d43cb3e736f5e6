#!/usr/bin/env bash
# Installs the programs that `make peers` puts before and behind the edge: origins (nginx,
# Apache httpd, HAProxy, lighttpd, Node, and gunicorn and uvicorn from PyPI) and clients
# (curl, nghttp and h2load, Chromium without a screen, and Python's websockets and grpcio).
# What is from PyPI goes into target/peer-tools. Does nothing if all are there.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian keeps some where only root's PATH leads.
PATH="$PATH:/usr/sbin:/sbin"
packages=()
for pair in nginx:nginx-light apache2:apache2-bin haproxy:haproxy lighttpd:lighttpd node:nodejs \
  curl:curl nghttp:nghttp2-client h2load:nghttp2-client \
  chromium-headless-shell:chromium-headless-shell python3:python3; do
  command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
done
if [ "${#packages[@]}" -gt 0 ]; then
  echo "The peers need Debian's ${packages[*]}." >&2
  if ! command -v apt-get >/dev/null; then
    echo "Install what those packages hold, so that their programs are on the PATH." >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "Run once: sudo apt-get install ${packages[*]}" >&2
    exit 1
  fi
  # The tests run their own; the system's are to stay off.
  if command -v systemctl >/dev/null; then
    systemctl mask --quiet nginx.service haproxy.service lighttpd.service || true
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update --quiet --quiet </dev/null
  apt-get install --quiet --yes --no-install-recommends "${packages[@]}" </dev/null
fi

tools=target/peer-tools
[ -x "$tools/bin/pip" ] || python3 -m venv "$tools"
"$tools/bin/python" -c "import gunicorn, uvicorn, h11, websockets, grpc" 2>/dev/null ||
  "$tools/bin/pip" install --quiet --disable-pip-version-check gunicorn uvicorn h11 websockets grpcio
