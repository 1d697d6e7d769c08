#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/fault.sh BUILD - system calls and allocations of a dump that fail, one after
# the other: as tests/fault.sh, and the guest goes on
#
# test: fault-guest 1800 @BUILD@
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

requires /usr/bin/python3
preload=$1/tests/fault/fault-preload.so
[ -e "$preload" ] || skip "needs the GNU C library"
! grep -qs "__asan_init\|__tsan_init\|__gcov_" "$GUESTDUMP" || skip "an instrumented program has calls of its own"

most=--most=4
[ -z "${GUESTDUMP_FULL:-}" ] || most=--most=400

start_guest vm --mem 128M
failed=
# not with seccomp, since libseccomp 2.5 frees twice when there is no memory
for how in "-d 31" "--live -E"; do
	echo "guestdump dump $how"
	# shellcheck disable=SC2086 # words
	/usr/bin/python3 "$root/tests/fault/sweep.py" "$most" --qmp "${guest_source#qmp:}" "$preload" \
		"$GUESTDUMP" dump --no-confine -q -j 2 $how "$guest_source" OUT || failed=1
done
[ -z "$failed" ] || fail "not as promised"
