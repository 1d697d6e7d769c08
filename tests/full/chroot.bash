# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# For tests that need a machine on which nothing is installed: a directory with a Debian of
# this machine's release, from this machine's mirror.  After tests/lib.sh:
#
#   make_chroot                  sets $chroot: Debian's essential packages and apt
#   chroot_install PACKAGE...    with all that they need; a path is that of a .deb here
#   in_chroot COMMAND...         runs there, with nothing of this environment
#   copy_sources DIR             what git would commit, into a new directory
#
# shellcheck disable=SC2154 # tmp

# The sources.list of this machine, as far as it is Debian's own
chroot_sources() {
	# shellcheck disable=SC2016 # names of apt's
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' \
		'Created-By: Packages' |
		awk '$3 == "main" && $4 == "Debian" {
			print "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]", $1, $2, $3 }' |
		sort -u
}

make_chroot() {
	requires mmdebstrap apt-get
	[ "$(id -u)" = 0 ] || skip "needs root for a chroot"
	tmpdir
	chroot=$tmp/chroot
	chroot_sources >"$tmp/sources"
	[ -s "$tmp/sources" ] || skip "found no Debian package source on this machine"
	mmdebstrap --mode=root --variant=apt --aptopt='Acquire::Retries "3"' --skip=cleanup/apt \
		'' "$chroot" - <"$tmp/sources" >"$tmp/log" 2>&1 ||
		{ cat "$tmp/log"; skip "no Debian could be unpacked here"; }
	cp -L /etc/resolv.conf /etc/hosts "$chroot/etc/"
}

copy_sources() {
	git -C "$root" rev-parse 2>/dev/null || skip "needs git to tell sources from what was built"
	mkdir "$1"
	git -C "$root" ls-files -co --exclude-standard -z |
		tar c -C "$root" --ignore-failed-read --null -T - | tar x -C "$1"
}

chroot_install() {
	local name names=()
	for name; do
		case $name in
		/*) cp "$name" "$chroot/var/tmp/" && names+=("/var/tmp/${name##*/}") ;;
		*) names+=("$name") ;;
		esac
	done
	in_chroot apt-get -q install -y --no-install-recommends \
		"${names[@]}" >"$tmp/log" 2>&1 || { tail -n 30 "$tmp/log"; fail "cannot install: $*"; }
}

# In namespaces, so that /proc and what was started go away by themselves
in_chroot() {
	# shellcheck disable=SC2016 # for the shell in there
	unshare --mount --pid --fork --kill-child env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive sh -ec \
		'mount -t proc proc "$0/proc"; exec chroot "$0" "$@"' "$chroot" "$@" </dev/null
}
