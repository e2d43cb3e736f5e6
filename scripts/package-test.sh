#!/usr/bin/env bash
# What a machine makes of the Debian package: what is in it, what Debian's own judge says, and how
# it is installed, upgraded, removed and purged, in a copy of this machine's root that vanishes
# again. Needs root, and Debian.
#
#   scripts/package-test.sh [PACKAGE [MOST BYTES OF IT]]
#
# Without PACKAGE, one is made of the programs in the folder PROGRAMS, by default target/debug, where
# they are built if they are not there: scripts, units and pages are those of a release.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
  echo "package: only root can install packages, even into a root of its own: sudo make package-test" >&2
  exit 1
fi
# What is mounted from here on is seen by us alone, and is gone when we are.
if [ -z "${PACKAGE_TEST_ALONE:-}" ]; then
  PACKAGE_TEST_ALONE=yes exec unshare --mount --propagation private "$0" "$@"
fi

# So that all sort alike.
export LC_ALL=C.UTF-8
work=target/package-test
rm -rf "$work"
mkdir -p "$work"
package=${1:-}
most=${2:-0}
if [ -z "$package" ]; then
  programs=${PROGRAMS:-target/debug}
  # Whatever `make test` has left is good enough.
  [ -x "$programs/hostquorumd" ] && [ -x "$programs/hostquorum" ] ||
    cargo build --locked --package node --package cli
  scripts/package.sh "$programs" "$work/made" --fast
  package=$(ls "$work"/made/*.deb)
fi
unpacked=$work/unpacked
dpkg-deb --raw-extract "$package" "$unpacked"
field() { dpkg-deb --field "$package" "$1"; }
version=$(field Version)

control() {
  local program expected
  expected=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
  for program in hostquorumd hostquorum; do
    [ "$("$unpacked/usr/bin/$program" --version)" = "$program $expected" ]
  done
  # The first line of the changelog is the version that is packed.
  [ "$version" = "$(sed -n '1s/.*(\(.*\)).*/\1/p' deploy/debian/changelog)" ]
  [[ $version == "$expected"-* ]]
  [ "$(field Architecture)" = "$(dpkg --print-architecture)" ]
  [[ $(field Depends) == *"libc6 (>= "* ]]
  diff <(printf '%s\n' /etc/hostquorum/hostquorum.toml /etc/needrestart/conf.d/hostquorum.conf) \
    <(sort "$unpacked/DEBIAN/conffiles")
  echo "$(field Package) $version for $(field Architecture), depends on $(field Depends)"
}

# Mode, owner and path of every file, besides pages of commands and documents.
contents() {
  dpkg-deb --contents "$package" | awk '$1 !~ /^d/ { print $1, $2, substr($6, 3) }' | sort -k 3 >"$work/all"
  grep -v -E 'man/man[18]/hostquorumd?-|/doc/hostquorum/.*\.md$' "$work/all" >"$work/contents"
  diff deploy/debian/contents "$work/contents"
  diff <(cd docs && ls -- *.md runbooks/*.md | sort) \
    <(sed -n 's|.*/doc/hostquorum/\(.*\.md\)$|\1|p' "$work/all" | sort)
  # Nothing is anybody's but root's, or for others to write.
  if awk '$2 != "0/0" || $1 !~ /^-rw.r-.r-.$/' "$work/all" | grep .; then
    return 1
  fi
  echo "$(wc -l <"$work/all") files, as deploy/debian/contents says"
}

sizes() {
  local bytes
  bytes=$(stat --format %s "$package")
  stat --format '%s %n' "$unpacked"/usr/bin/*
  if [ "$most" -gt 0 ] && [ "$bytes" -gt "$most" ]; then
    echo "$bytes bytes, and $most are the most"
    return 1
  fi
  echo "$bytes bytes, installed $(field Installed-Size) KiB"
}

pages() {
  local page said command name
  for page in "$unpacked"/usr/share/man/man*/*.gz; do
    said=$(gzip --decompress --stdout "$page" | groff -z -ww -man -K utf8 -T utf8 2>&1)
    # As lintian asks.
    said+=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
    if [ -n "$said" ]; then
      echo "$page: $said"
      return 1
    fi
  done
  # Each command that completions know has its page.
  sed -n 's/^ *\(hostquorum__subcmd__[a-z_]*\))$/\1/p' "$unpacked/usr/share/bash-completion/completions/hostquorum" |
    sort --unique >"$work/commands"
  while read -r command; do
    name=${command//__subcmd__/-}
    [ -e "$unpacked/usr/share/man/man1/${name//__/-}.1.gz" ] || { echo "$command has no page"; return 1; }
  done <"$work/commands"
  [ "$(wc -l <"$work/commands")" -gt 40 ]
  echo "$(ls "$unpacked"/usr/share/man/man*/*.gz | wc -l) pages; $(wc -l <"$work/commands") commands have theirs"
}

completions() {
  local share=$unpacked/usr/share said
  said=$(bash -c '. "$1"; COMP_WORDS=(hostquorum cluster up) COMP_CWORD=2
    _hostquorum hostquorum up cluster; echo "${COMPREPLY[*]}"' - "$share/bash-completion/completions/hostquorum")
  [ "$said" = upgrade-check ]
  zsh -n "$share/zsh/vendor-completions/_hostquorum"
  said=$(fish --no-config -c 'source $argv[1]; complete --do-complete "hostquorum cluster up"' \
    "$share/fish/vendor_completions.d/hostquorum.fish")
  [[ $said == upgrade-check* ]]
  echo "bash and fish complete, zsh reads it"
}

judge() {
  local said
  said=$(lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$package" 2>&1) ||
    { echo "$said"; return 1; }
  echo "lintian $(lintian --print-version): nothing above a hint, $(grep -c '^[^#]' deploy/debian/lintian-overrides) overrides that say why"
}

# The same with another version, another unit and another configuration as shipped: what was
# installed before.
older() {
  local old=$work/old
  cp -r "$unpacked" "$old"
  sed -i 's/^Version: .*/Version: 0.0.9-1/' "$old/DEBIAN/control"
  echo "# As shipped with 0.0.9." | tee -a "$old/etc/hostquorum/hostquorum.toml" >>"$old/etc/needrestart/conf.d/hostquorum.conf"
  sed -i 's/^Description=.*/Description=the older one/' "$old/usr/lib/systemd/system/hostquorumd.service"
  echo old >"$old/usr/share/doc/hostquorum/gone-since"
  dpkg-deb --build --root-owner-group -Zgzip -z1 "$old" "$work/old.deb" >/dev/null
  rm -r "$old"
  echo "0.0.9-1, to begin with"
}

machine() {
  scripts/package-machine.sh "$work/old.deb" "$package"
}

image() {
  scripts/image.sh "$unpacked/usr/bin" "$work/image"
  rm -r "$work/image"
}

began=$SECONDS
for check in control contents sizes completions older machine image pages judge; do
  at=$SECONDS
  # In a subshell whose errors count, which `if` would switch off.
  set +e
  (set -e; "$check") >"$work/$check.log" 2>&1 </dev/null
  code=$?
  set -e
  if [ "$code" -ne 0 ]; then
    cat "$work/$check.log"
    echo "package: $check failed"
    exit 1
  fi
  printf 'package: %-12s %3d s  %s\n' "$check" $((SECONDS - at)) "$(grep -v '^$' "$work/$check.log" | tail -1)"
done
echo "package: $package holds; $((SECONDS - began)) s"
