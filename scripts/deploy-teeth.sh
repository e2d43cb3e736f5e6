#!/usr/bin/env bash
# Whether `make deploy-test` would notice: plants each of deploy/defects into a copy of deploy/ and
# tells which check catches it. Fails if one is caught otherwise than its patch says, or if fewer
# than ten are caught.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/target/deploy-teeth
caught=0 planted=0 wrong=0

for patch in deploy/defects/*.patch; do
  name=$(basename "$patch" .patch)
  expected=$(sed -n 's/^Caught by: //p' "$patch")
  rm -rf "$work"
  mkdir -p "$work/tree"
  cp -r deploy "$work/tree/deploy"
  patch --directory="$work/tree" --strip=1 --quiet <"$patch"
  if WORK=$work/run scripts/deploy-test.sh "$work/tree" >"$work/said.txt" 2>&1; then
    by=nothing
  else
    by=$(sed -n 's/^deploy: \(.*\) failed$/\1/p' "$work/said.txt")
    caught=$((caught + 1))
  fi
  planted=$((planted + 1))
  mark=
  if [ "$by" != "$expected" ]; then
    mark="  but its patch says: $expected"
    wrong=$((wrong + 1))
  fi
  printf 'deploy: %-28s %s%s\n' "$name" "$by" "$mark"
done
echo "deploy: $caught of $planted defects are caught"
[ "$wrong" -eq 0 ] && [ "$caught" -ge 10 ]
