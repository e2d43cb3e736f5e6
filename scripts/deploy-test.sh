#!/usr/bin/env bash
# What can be known of deploy/ without AWS: see "Verification status" in deploy/README.md. Takes
# another tree than ours as its argument (deploy-teeth.sh does), stops at the first check that
# fails, and says which.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
tree=${1:-$here}
work=${WORK:-$here/target/deploy-test}
tools=$here/target/deploy-tools
python=$tools/venv/bin/python
offline=$tree/deploy/offline
examples=(minimal complete nlb multi-region)
# Most that systemd may think of what the daemon is exposed to.
exposure_max=2.0

engine=$(command -v terraform || command -v tofu)
rm -rf "$work"
mkdir -p "$work"
# Terraform leaves files beside what it reads.
cp -r "$tree/deploy/terraform" "$work/terraform"
modules=("$work/terraform/modules/node" "$work/terraform/modules/region" "$work/terraform")

# The user's own settings are not asked.
: >"$work/terraform.rc"
export TF_CLI_CONFIG_FILE=$work/terraform.rc TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1
export AWS_EC2_METADATA_DISABLED=true

format() {
  "$engine" fmt -check -recursive -diff "$tree/deploy/terraform"
  echo "Terraform's own"
}

schema() {
  "$python" "$offline/provider_schema.py" "$tools"/bindings/*.whl "$work/terraform" "$work/schema.json"
  echo "$(grep -c '^ "' "$work/schema.json") types"
}

# What stands in for the provider, once there is a schema; it ends with us.
start_provider() {
  local patience=60
  # The name of a socket may have a hundred letters, which a tree's own may have already.
  sockets=$(mktemp -d)
  : >"$work/provider.json"
  "$python" "$offline/standin_provider.py" "$work/schema.json" "$sockets/provider" \
    >"$work/provider.json" 2>"$work/provider.log" </dev/null &
  provider=$!
  trap 'kill "$provider" 2>/dev/null; rm -rf "$sockets"' EXIT
  until [ -s "$work/provider.json" ]; do
    if ! kill -0 "$provider" 2>/dev/null || [ "$((patience -= 1))" -eq 0 ]; then
      cat "$work/provider.log"
      echo "deploy: the stand-in for the provider does not start"
      exit 1
    fi
    sleep 0.5
  done
  TF_REATTACH_PROVIDERS=$(cat "$work/provider.json")
  export TF_REATTACH_PROVIDERS
}

validate() {
  local folder
  for folder in "${modules[@]}" "${examples[@]/#/$work/terraform/examples/}"; do
    (cd "$folder" && "$engine" get >/dev/null && "$engine" validate -no-color)
  done
  echo "$((${#modules[@]} + ${#examples[@]})) configurations are valid"
}

plan() {
  local example
  for example in "${examples[@]}"; do
    (
      cd "$work/terraform/examples/$example"
      "$engine" plan -no-color -out plan
      "$engine" show -json plan >"$work/$example.json"
    )
  done
  echo "${#examples[@]} plans"
}

plans=("${examples[@]/#/$work/}")
plans=("${plans[@]/%/.json}")

requests() {
  "$python" "$offline/api_requests.py" "${plans[@]}"
}

policies() {
  "$python" "$offline/iam_policies.py" "${plans[@]}"
}

user_data() {
  local cloudinit=$tools/debian/usr/lib/python3/dist-packages/cloudinit
  "$python" "$offline/user_data.py" "$cloudinit/config/schemas/schema-cloud-config-v1.json" \
    "$here/docs/configuration.md" "$work/machines" "${plans[@]}"
  # The daemon's own word, where it has been built.
  local daemon=${HOSTQUORUMD:-$here/target/debug/hostquorumd} config
  if [ -x "$daemon" ]; then
    for config in "$work"/machines/*/hostquorum.toml; do
      "$daemon" validate --config "$config"
    done
    echo "and the daemon takes their configurations"
  else
    echo "the daemon is not built here: it has not seen these configurations"
  fi
}

readme() {
  "$python" "$offline/module_readme.py" --check "${modules[@]}"
  echo "inputs and outputs are as the READMEs say"
}

units() {
  local root=$work/root folder=$tree/deploy/systemd said exposure
  mkdir -p "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/etc/systemd/system/hostquorumd.service.d" \
    "$root/usr/local/sbin"
  cp /lib/systemd/system/*.target "$root/usr/lib/systemd/system"
  cp "$folder"/*.service "$folder"/*.socket "$root/usr/lib/systemd/system"
  printf '#!/bin/sh\n' | tee "$root/usr/bin/hostquorumd" >"$root/usr/local/sbin/hostquorum-aws"
  chmod +x "$root/usr/bin/hostquorumd" "$root/usr/local/sbin/hostquorum-aws"
  verify() {
    # It exits with 0 whatever it finds, and says it. The manual is no matter of this root.
    said=$(systemd-analyze verify --man=no --root="$root" hostquorumd.service hostquorum-https.socket \
      hostquorum-http.socket 2>&1) || true
    if [ -n "$said" ]; then
      echo "$said"
      return 1
    fi
  }
  verify
  cp "$work/machines/minimal-a/aws.conf" "$root/etc/systemd/system/hostquorumd.service.d"
  verify
  exposure=$(systemd-analyze security --offline=true --no-pager --root="$root" hostquorumd.service |
    sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')
  awk -v is="$exposure" -v may="$exposure_max" 'BEGIN { exit !(is != "" && is <= may) }'
  systemd-sysusers --dry-run --root="$root" "$folder/hostquorum.sysusers" >/dev/null
  # Our user is nobody here yet.
  said=$(sed 's/ hostquorum hostquorum / root root /' "$folder/hostquorum.tmpfiles" |
    systemd-tmpfiles --create --root="$root" - 2>&1) || { echo "$said"; return 1; }
  echo "verified; exposure $exposure, at most $exposure_max"
}

alerts() {
  local promtool=$tools/debian/usr/bin/promtool
  cd "$tree/deploy/observability"
  "$promtool" check rules hostquorum.rules.yml
  "$promtool" test rules hostquorum.rules.test.yml
  "$python" -m json.tool grafana.json /dev/null
  echo "$(grep -c 'alert: ' hostquorum.rules.yml) alerts, $(grep -c 'alertname: ' hostquorum.rules.test.yml) looks at them"
}

first_start() {
  "$python" "$offline/test_hostquorum_aws.py" 2>&1
}

module_tests() {
  local folder
  for folder in "${modules[@]}"; do
    (cd "$folder" && "$engine" test -no-color)
  done
  echo "$(cat "$work"/terraform{,/modules/*}/tests/*.tftest.hcl | grep -c '^run ') runs passed"
}

checkov() {
  "$tools/checkov/bin/checkov" --directory "$work/terraform" --config-file "$offline/checkov.yaml" \
    --output json >"$work/checkov.json" || true
  "$python" - "$work/checkov.json" <<'END'
import json, sys

said = json.load(open(sys.argv[1]))
summary = said["summary"]
for check in said["results"]["failed_checks"]:
    print(check["check_id"], check["check_name"], check["resource"], check["file_path"])
print(f"{summary['passed']} passed, {summary['failed']} failed, {summary['parsing_errors']} unreadable")
sys.exit(summary["failed"] + summary["parsing_errors"] > 0 or summary["passed"] < 50)
END
}

began=$SECONDS
for check in format schema validate plan requests policies user_data readme units alerts module_tests first_start checkov; do
  at=$SECONDS
  # In a subshell whose errors count, which `if` would switch off.
  set +e
  (set -e; "$check") >"$work/$check.log" 2>&1 </dev/null
  code=$?
  set -e
  if [ "$code" -ne 0 ]; then
    cat "$work/$check.log"
    echo "deploy: $check failed"
    exit 1
  fi
  if [ "$check" = schema ]; then
    start_provider
  fi
  printf 'deploy: %-12s %3d s  %s\n' "$check" $((SECONDS - at)) "$(grep -v '^$' "$work/$check.log" | tail -1)"
done
echo "deploy: everything that can be known without AWS holds; $((SECONDS - began)) s"
