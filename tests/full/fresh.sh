#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/fresh.sh - on a Debian with nothing else, the lines of the README build and install
# a program that starts
#
# test: fresh 1800
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/full/chroot.bash
. "$(dirname "$0")/chroot.bash"
requires_full
requires git
make_chroot
copy_sources "$chroot/guestdump"

chroot_install make
in_chroot sh -ec 'cd guestdump; scripts/setup build; make install; make install PREFIX=/opt/gd' \
	>"$tmp/log" 2>&1 || { tail -n 60 "$tmp/log"; fail "make install"; }
! in_chroot sh -c 'command -v clang' || fail "scripts/setup build has installed clang"
[ ! -e "$chroot/guestdump/build-release/tests" ] || fail "make install has built tests"
for prefix in /usr/local /opt/gd; do
	in_chroot env PATH="$prefix/bin:/usr/bin:/bin" guestdump/debian/tests/smoke ||
		fail "the program in $prefix"
done
in_chroot ldconfig -p | grep libguestdump.so.0 || fail "no ldconfig"
