#!/usr/bin/env bash
# Whether the simulation notices bugs: plants each of simulation/teeth into a copy of the
# tree, and counts the seeds from 1 on until an invariant is violated. A bug that was met
# once, and is rarer than that, names the scenario that was kept of it.
#
#   scripts/teeth.sh            all of them, and then the tree as it is
#   scripts/teeth.sh some       SOME=2 of those that are noticed soon, others in each hour
#   scripts/teeth.sh NAME...    those
#
# Fails if one is not noticed within SEEDS=300, cannot be planted or does not build.
# PROFILE=dev takes what `make test` has built already: sooner begun, and slower.
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${SEEDS:-300}
work=$PWD/target/teeth
tree=$work/tree
# A directory of its own, so that no planted bug is ever found where programs are.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$work/target}
# The flags of .cargo/config.toml, which the copy would inherit a second time.
export RUSTFLAGS="--cfg tokio_unstable"
profile=${PROFILE:-simulation}
programs=$CARGO_TARGET_DIR/${profile/dev/debug}
mkdir -p "$tree"
built=target/${profile/dev/debug}
if [[ -d $built/deps && ! -d $programs ]]; then
    mkdir -p "$programs"
    # Links: what is the same in the copy is not built again.
    cp -al "$built"/{deps,build,.fingerprint} "$programs"
fi

# What is tracked, as it is now, changes that are not committed yet included.
base=$(git -c user.name=teeth -c user.email=teeth@localhost stash create)
base=${base:-$(git rev-parse HEAD)}
git_dir=$(git rev-parse --absolute-git-dir)
in_tree() { GIT_INDEX_FILE=$work/index git -C "$tree" --git-dir="$git_dir" --work-tree=. "$@"; }

# Only files that differ are written, so that only what changed is built again.
restore() {
    in_tree read-tree --reset -u "$base"
    in_tree clean --quiet --force -d -x
}

build() {
    local what=(build --package simulation --bin simulation --profile "$profile")
    if [[ $profile == dev ]]; then
        # With the features that `make test` builds all with.
        what=(test --no-run --workspace --features node/failpoints --exclude e2e --test seeds)
    fi
    (cd "$tree" && cargo "${what[@]}" --locked --quiet) >"$work/$1.build" 2>&1
}

# Prints the seed that shows it and the words of the violation; nothing if none does.
simulate() {
    local name=$1 status=0
    shift
    mkdir -p "$work/$name"
    "$programs/simulation" "$@" --shrink 0 --log-dir "$work/$name" \
        >"$work/$name.out" 2>"$work/$name.err" || status=$?
    # 1 is a violation, or that it could not run at all; 0 is neither.
    if ((status > 1)) || ! grep -q '^seed ' "$work/$name.out" || grep -q '^Error' "$work/$name.err"; then
        tail -5 "$work/$name.err" >&2
        return 1
    fi
    sed -nE 's/^seed ([0-9]+) .* VIOLATION at [0-9]+ ms it did not hold that ([^:]*): (.*)/\1\t\2\t\3/p' \
        "$work/$name.out" | sort -n | head -1
}

# A scenario that was kept, with its own seed and then with others: with each change of the
# code a seed draws other chances.
replay() {
    local name=$1 scenario=simulation/kept/$2.scenario own seed found
    own=$(sed -nE 's/.*"settings":\{"seed":([0-9]+).*/\1/p' "$scenario")
    for seed in "$own" $(seq 1 50); do
        sed -E "s/(\"settings\":\{\"seed\":)[0-9]+/\1$seed/" "$scenario" >"$work/$name.scenario"
        found=$(simulate "$name" --replay "$work/$name.scenario") || return 1
        [[ -z $found ]] || break
    done
    echo "$found"
}

# A panic is no invariant's word: it counts if it is the cluster's and not the simulation's.
by_panic() {
    local where
    where=$(grep -oE 'panicked at [^:]+:[0-9]+' "$work/$1.err" | tail -1 | cut -d' ' -f3)
    case $where in
        node/*) echo "a panic at $where" ;;
        *) echo "UNFIT: a panic at ${where:-?}, which is not the cluster's" ;;
    esac
}

row() { printf '%-28s %5s %6s  %s\n' "$@"; }

failed=0
most=0
bite() {
    local name=$1 patch=$PWD/simulation/teeth/$1.patch begun=$SECONDS kept found seed invariant
    restore
    if ! in_tree apply --whitespace=nowarn "$patch" 2>"$work/$name.err"; then
        row "$name" - - "FAILED: cannot be planted: $(head -1 "$work/$name.err")"
        failed=1
        return
    fi
    if ! build "$name"; then
        row "$name" - - "FAILED: does not build: $(grep -m1 '^error' "$work/$name.build")"
        failed=1
        return
    fi
    kept=$(sed -n 's/^Kept: //p' "$patch")
    if [[ -n $kept ]]; then
        found=$(replay "$name" "$kept") || found=failed
    else
        found=$(simulate "$name" --runs "$seeds" --first) || found=failed
    fi
    if [[ $found == failed ]]; then
        row "$name" - - "FAILED: the simulation ended early"
        failed=1
        return
    fi
    IFS=$'\t' read -r seed invariant _ <<<"$found" || true
    if [[ ${invariant:-} == "nothing panics" ]]; then
        invariant=$(by_panic "$name")
    fi
    if [[ -z $found || $invariant == UNFIT* ]]; then
        failed=1
        invariant=${invariant:-"NOT NOTICED"}
    elif [[ -n $kept ]]; then
        seed=kept
    elif ((seed > most)); then
        most=$seed
    fi
    row "$name" "${seed:--}" $((SECONDS - begun)) "$invariant"
}

# Neighbours change the same crates, so that less is built again.
all() { grep -m1 -H '^+++ b/' simulation/teeth/*.patch | sort -t: -k2,2 -k1,1 | sed -E 's|.*/([^/]*)\.patch:.*|\1|'; }

control=
case ${1:-} in
    "")
        names=$(all)
        control=yes
        ;;
    some)
        # Rare ones take too long for CI.
        often() { all | while read -r name; do grep -q '^Rare: ' "simulation/teeth/$name.patch" || echo "$name"; done; }
        count=$(often | wc -l)
        first=$(($(date +%s) / 3600 * ${SOME:-2} % count))
        names=$({ often; often; } | tail -n +$((first + 1)) | head -n "${SOME:-2}")
        ;;
    *) names="$*" ;;
esac

row bug seeds s "noticed by"
for name in $names; do
    bite "$name"
done
if [[ -n $control && $most -gt 0 ]]; then
    begun=$SECONDS
    restore
    build control
    found=$(simulate control --runs "$most")
    if [[ -n $found ]]; then
        row "(no bug)" "${found%%$'\t'*}" $((SECONDS - begun)) "VIOLATION, without any bug"
        failed=1
    else
        row "(no bug)" "$most" $((SECONDS - begun)) "nothing, as it must be"
    fi
fi
exit $failed
