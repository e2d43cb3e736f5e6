#!/usr/bin/env bash
# Installs moto, which the tests of the AWS half speak to, into target/aws-tools. Does nothing if
# it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/aws-tools
wanted=tests/moto/requirements.txt
cmp --quiet "$wanted" "$tools/installed.txt" 2>/dev/null && exit

if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests of the AWS half need Python's venv. Run once: sudo apt-get install python3-venv" >&2
    exit 1
  fi
  apt-get update --quiet --quiet </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends python3-venv </dev/null
fi
rm -rf "$tools"
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted" </dev/null
cp "$wanted" "$tools/installed.txt"
