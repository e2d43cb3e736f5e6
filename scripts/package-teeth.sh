#!/usr/bin/env bash
# Whether `make package-test` would notice: plants each of deploy/defects/package into a copy of
# the tree and tells which check catches it. Fails if one is not caught, or otherwise than its
# patch says. Needs root, and the programs of `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/target/package-teeth
planted=0 wrong=0

for patch in deploy/defects/package/*.patch; do
  name=$(basename "$patch" .patch)
  expected=$(sed -n 's/^Caught by: //p' "$patch")
  rm -rf "$work"
  mkdir -p "$work/tree"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --target-directory "$work/tree"
  ln -s "$PWD/target" "$work/tree/target"
  patch --directory="$work/tree" --strip=1 --quiet <"$patch"
  if "$work/tree/scripts/package-test.sh" >"$work/said.txt" 2>&1; then
    by=nothing
  else
    by=$(sed -n 's/^package: \(.*\) failed$/\1/p' "$work/said.txt")
  fi
  planted=$((planted + 1))
  mark=
  if [ "$by" != "$expected" ]; then
    mark="  but its patch says: $expected"
    wrong=$((wrong + 1))
  fi
  printf 'package: %-28s %s%s\n' "$name" "$by" "$mark"
done
echo "package: $((planted - wrong)) of $planted defects are caught"
[ "$wrong" -eq 0 ] && [ "$planted" -ge 10 ]
