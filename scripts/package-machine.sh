#!/usr/bin/env bash
# A machine's life with the package: installed, configured, upgraded, removed, purged. It happens
# in an overlay of this machine's root, where systemctl only writes down what it was asked. Called
# by package-test.sh, whose mounts vanish with it.
#
#   scripts/package-machine.sh OLDER NEWER
set -euo pipefail
cd "$(dirname "$0")/.."
older=$1 newer=$2

work=$PWD/target/package-machine
rm -rf "$work"
mkdir -p "$work"
# An overlay cannot be above what it lies in, and is quick in memory.
mount -t tmpfs -o mode=0755 tmpfs "$work"
mkdir "$work"/{changed,scratch,root}
mount -t overlay -o "lowerdir=/,upperdir=$work/changed,workdir=$work/scratch" overlay "$work/root"
root=$work/root
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
cp "$older" "$root/tmp/older.deb"
cp "$newer" "$root/tmp/newer.deb"

# As on a machine that runs systemd, lets packages do what they want, and leaves nothing out.
mkdir -p "$root/run/systemd/system"
rm -rf "$root"/etc/dpkg/dpkg.cfg.d/* "$root/usr/sbin/policy-rc.d"
# An index of all pages of the machine, made anew each time, tells nothing of ours.
rm -f "$root/var/lib/man-db/auto-update"
cat >"$root/tmp/systemctl" <<'END'
#!/bin/sh
echo "$*" >>/tmp/asked
case "$*" in *is-active*) [ -e /tmp/node-runs ] ;; esac
END
chmod +x "$root/tmp/systemctl"
cp --remove-destination "$root/tmp/systemctl" "$root/usr/bin/systemctl"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
# What this machine may have of ours does not count.
inside dpkg --purge hostquorum >/dev/null 2>&1
inside userdel hostquorum >/dev/null 2>&1 || true
rm -rf "$root"/etc/hostquorum* "$root/var/lib/hostquorum"

fail() { echo "$step: $*"; exit 1; }
# Runs dpkg, keeps what it says, and begins a new list of what systemctl is asked.
dpkg_says() {
  : >"$root/tmp/asked"
  said=$(inside dpkg --force-confdef --force-confold "$@" 2>&1) || fail "dpkg: $said"
}
says() { [[ $said == *"$1"* ]] || fail "it does not say \`$1\` but: $said"; }
# All that systemctl was asked, in this order.
asked() {
  local found
  found=$(grep -v is-active "$root/tmp/asked" | paste -s -d ';' || true)
  [ "$found" = "$1" ] || fail "systemctl was asked \`$found\`"
}
# Mode and owner of a path.
is() {
  local found
  found=$(inside stat --format '%a %U:%G' "$1") || fail "$1 is missing"
  [ "$found" = "$2" ] || fail "$1 is $found"
}
gone() { [ ! -e "$root$1" ] || fail "$1 is still there"; }
config=/etc/hostquorum/hostquorum.toml

step="first installation"
dpkg_says --install /tmp/older.deb
says "nothing is started"
asked "--system daemon-reload"
is /etc/hostquorum "755 root:root"
is /etc/hostquorum-keys "700 hostquorum:hostquorum"
is $config "644 root:root"
entry=$(inside getent passwd hostquorum)
[[ $entry == *:/var/lib/hostquorum:*nologin ]] || fail "the user is $entry"
found=$(inside dpkg --verify hostquorum)
[ -z "$found" ] || fail "not as packed: $found"

step="configuration"
# As shipped it is refused, with what must be said; then it is what the daemon reads.
code=0
said=$(inside hostquorumd validate 2>&1) || code=$?
[ "$code" -eq 78 ] || fail "exit code $code: $said"
says "name"
says "peer"
says "admin"
sed -i 's/^#! //' "$root$config"
inside hostquorumd validate || fail "not valid"
code=0
found=$(inside systemd-analyze verify hostquorumd.service hostquorum-https.socket hostquorum-http.socket 2>&1 |
  grep -i hostquorum) || true
[ -z "$found" ] || fail "$found"
# Other services may be restarted by needrestart; ours may not.
inside perl -e 'our %nrconf; do "/etc/needrestart/conf.d/hostquorum.conf"; die $@ if $@;
  my ($rule) = grep { "hostquorumd.service" =~ $_ } keys %{$nrconf{override_rc}};
  exit(defined $rule && $nrconf{override_rc}{$rule} == 0 ? 0 : 1)' || fail "needrestart would restart it"

step="first start"
# By hand as the unit would: its user, and the folder that systemd makes. In a network of its own.
inside install -d -m 700 -o hostquorum -g hostquorum /var/lib/hostquorum
unshare --net chroot "$root" /usr/bin/setpriv --reuid hostquorum --regid hostquorum --clear-groups \
  /usr/bin/hostquorumd >"$work/node.log" 2>&1 &
node=$!
patience=300
until [ -S "$root/var/lib/hostquorum/hostquorumd.sock" ]; do
  kill -0 "$node" 2>/dev/null && [ "$((patience -= 1))" -gt 0 ] || fail "no socket: $(cat "$work/node.log")"
  sleep 0.1
done
kill "$node"
wait "$node" || fail "it ended with $?: $(cat "$work/node.log")"
is /etc/hostquorum-keys/node.key "400 hostquorum:hostquorum"

step="upgrade beneath a node that runs"
touch "$root/tmp/node-runs"
echo "# Ours." >>"$root$config"
before=$(cat "$root$config")
dpkg_says --install /tmp/newer.deb
says "upgrade-check"
[[ $said != *"nothing is started"* ]] || fail "it takes an upgrade for a first installation"
# Above all: not restart, not stop, not start.
asked "--system daemon-reload"
[ "$(cat "$root$config")" = "$before" ] || fail "the operator's configuration was changed"
grep --quiet "0.0.9" "$root/etc/needrestart/conf.d/hostquorum.conf" && fail "an old file that nobody changed stays"
grep --quiet "^Description=the older one" "$root/usr/lib/systemd/system/hostquorumd.service" && fail "the old unit stays"
gone /usr/share/doc/hostquorum/gone-since
is /etc/hostquorum-keys/node.key "400 hostquorum:hostquorum"
inside hostquorumd validate || fail "the new one does not take the configuration"

step="removal"
wanted="$root/etc/systemd/system/multi-user.target.wants/hostquorumd.service"
mkdir -p "${wanted%/*}"
ln -s /usr/lib/systemd/system/hostquorumd.service "$wanted"
dpkg_says --remove hostquorum
asked "stop hostquorum-https.socket hostquorum-http.socket hostquorumd.service;--system daemon-reload"
gone /usr/bin/hostquorumd
gone /usr/lib/systemd/system/hostquorumd.service
is $config "644 root:root"
is /var/lib/hostquorum "700 hostquorum:hostquorum"
is /etc/hostquorum-keys/node.key "400 hostquorum:hostquorum"

step="installation after a removal"
rm "$root/tmp/node-runs"
dpkg_says --install /tmp/newer.deb
asked "--system daemon-reload"
[ "$(cat "$root$config")" = "$before" ] || fail "the operator's configuration was changed"

step="purge of what was a node"
echo secret >"$root/etc/hostquorum/passphrase"
dpkg_says --purge hostquorum
says "kept are /var/lib/hostquorum /etc/hostquorum-keys"
gone $config
[ ! -L "$wanted" ] || fail "$wanted is still there"
is /etc/hostquorum-keys/node.key "400 hostquorum:hostquorum"
is /etc/hostquorum/passphrase "644 root:root"
inside getent passwd hostquorum >/dev/null || fail "the owner of the data is gone"

step="purge with the volume away"
mv "$root/var/lib/hostquorum" "$root/var/lib/away"
inside install -d -m 700 -o hostquorum -g hostquorum /var/lib/hostquorum
dpkg_says --install /tmp/newer.deb
dpkg_says --purge hostquorum
says "kept are /etc/hostquorum-keys"
is /etc/hostquorum-keys/node.key "400 hostquorum:hostquorum"

step="purge of what never was a node"
rm -r "$root/etc/hostquorum-keys/node.key"
dpkg_says --install /tmp/newer.deb
dpkg_says --purge hostquorum
for path in /etc/hostquorum /etc/hostquorum-keys /var/lib/hostquorum /usr/share/doc/hostquorum \
  /etc/needrestart/conf.d/hostquorum.conf /usr/lib/sysusers.d/hostquorum.conf; do
  gone "$path"
done

step="a configuration that was there first"
# As user data writes it on AWS, before the package comes.
mkdir "$root/etc/hostquorum"
echo "# Ours, from the beginning." >"$root$config"
dpkg_says --install /tmp/newer.deb
[ "$(cat "$root$config")" = "# Ours, from the beginning." ] || fail "it was replaced"
dpkg_says --purge hostquorum
gone /etc/hostquorum

step="an image that is filled from outside"
# A root that has nothing but dpkg's own lists, where no program of its own could run.
mkdir -p "$root/image/var/lib/dpkg"/{info,updates} "$root"/image/{etc,usr,run,tmp,var/lib}
# It is told that what we depend on is there.
{
  for name in libc6 ca-certificates systemd; do
    inside dpkg-query --showformat 'Package: ${Package}\nStatus: install ok installed\nMaintainer: nobody\nArchitecture: ${Architecture}\nMulti-Arch: same\nVersion: ${Version}\nDescription: stands in\n\n' --show "$name"
  done
} | sed 's/^Multi-Arch: same$/Multi-Arch: no/' >"$root/image/var/lib/dpkg/status"
echo "root:x:0:0:root:/root:/bin/sh" >"$root/image/etc/passwd"
echo "root:x:0:" >"$root/image/etc/group"
dpkg_says --root=/image --force-script-chrootless --install /tmp/newer.deb
asked ""
grep --quiet ^hostquorum: "$root/image/etc/passwd" || fail "no user in the image: $said"
[ -d "$root/image/etc/hostquorum-keys" ] || fail "no folder for keys: $said"
dpkg_says --root=/image --force-script-chrootless --purge hostquorum
asked ""
gone /image/etc/hostquorum

echo "installed, started, upgraded, removed, purged; nothing was restarted, nothing of a node's was deleted"
