#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/packages.sh - Debian packages are built, lintian has no objection, and on a Debian
# with nothing else they can be installed, used and removed
#
# test: packages 1800
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/full/chroot.bash
. "$(dirname "$0")/chroot.bash"
requires_full
requires dpkg-buildpackage dh lintian git
tmpdir

test_packages_are_built() {
	copy_sources "$tmp/guestdump"
	(cd "$tmp/guestdump" && dpkg-buildpackage -us -uc -b) >"$tmp/log" 2>&1 ||
		{ tail -n 60 "$tmp/log"; fail "dpkg-buildpackage"; }
	packages=("$tmp"/guestdump_*.deb "$tmp"/libguestdump0_*.deb "$tmp"/libguestdump-dev_*.deb)
}

# Who builds packages for others has an address for Maintainer and a bug to close
test_lintian_has_no_objection() {
	lintian --fail-on error,warning --suppress-tags \
		bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs \
		"$tmp"/*.changes || fail "lintian"
}

test_the_program_runs_where_it_is_installed() {
	local file
	make_chroot
	chroot_install "${packages[@]:0:2}"
	cp "$root/debian/tests/smoke" "$chroot/var/tmp/"
	in_chroot /var/tmp/smoke || fail "the installed program"
	in_chroot test -e /usr/share/man/man1/guestdump.1.gz || fail "no manual page"
	for file in bash-completion/completions/guestdump zsh/vendor-completions/_guestdump \
		fish/vendor_completions.d/guestdump.fish; do
		in_chroot test -e "/usr/share/$file" || fail "no $file"
	done
}

test_the_library_can_be_linked() {
	chroot_install "${packages[2]}" gcc libc6-dev pkg-config
	# shellcheck disable=SC2016 # for the shell in there
	in_chroot sh -ec 'cc -o /var/tmp/dump /usr/share/doc/libguestdump-dev/examples/dump.c \
		$(pkg-config --cflags --libs guestdump)' || fail "the example does not compile"
	fails_with 1 in_chroot /var/tmp/dump /nothing /var/tmp/out >"$tmp/said" 2>&1
	grep -q "No such file" "$tmp/said" || fail "the example said: $(cat "$tmp/said")"
}

test_nothing_is_left_behind() {
	in_chroot dpkg --purge guestdump libguestdump-dev libguestdump0 >/dev/null
	rm -rf "${chroot:?}"/var/{tmp,cache}/*
	find "$chroot" -xdev -name '*guestdump*' | tee "$tmp/left"
	[ ! -s "$tmp/left" ] || fail "files were left behind"
}

test_packages_are_built
test_lintian_has_no_objection
test_the_program_runs_where_it_is_installed
test_the_library_can_be_linked
test_nothing_is_left_behind
