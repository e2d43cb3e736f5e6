#!/usr/bin/env bash
# Installs what `make package`, `make package-test` and `make image` need: cargo-deb into
# target/tools; and Debian's lintian, groff and man, which judge the package and its pages; bash,
# zsh and fish, which read the completions; perl, which reads what needrestart is told; and
# buildah, which builds images without a daemon. Does nothing if they are there.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_deb=3.8.0

packages=()
# Debian keeps some where only root's PATH leads.
PATH="$PATH:/usr/sbin:/sbin"
for pair in dpkg-deb:dpkg dpkg-shlibdeps:dpkg-dev lintian:lintian groff:groff-base man:man-db zsh:zsh \
  fish:fish perl:perl-base buildah:buildah python3:python3 systemd-analyze:systemd unshare:util-linux; do
  command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
done
# The package depends on them.
[ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
if [ "${#packages[@]}" -gt 0 ]; then
  echo "The package and its tests need Debian's ${packages[*]}." >&2
  if ! command -v apt-get >/dev/null; then
    echo "Install what those packages hold, so that their programs are on the PATH." >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "Run once: sudo apt-get install ${packages[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update --quiet --quiet </dev/null
  apt-get install --quiet --yes --no-install-recommends "${packages[@]}" </dev/null
fi

tools=target/tools
if [ "$("$tools/bin/cargo-deb" --version 2>/dev/null)" != "cargo-deb $cargo_deb" ]; then
  # Where it is built is not ours to keep. It runs a few times: a quick build is worth more than a
  # quick program.
  env --unset=CARGO_TARGET_DIR --unset=RUSTFLAGS CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo install --quiet --locked --root "$tools" \
    --version "$cargo_deb" cargo-deb </dev/null
fi
