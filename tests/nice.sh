#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/nice.sh - with --nice, the program has the lowest priority for CPUs and disks
# test: nice 60
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires ionice ps
tmpdir
cd "$tmp"

priority_of() { echo "$(ps -o ni= -p "$1" | tr -d ' ') $(ionice -p "$1")"; }

# expect PRIORITY OPTION...: of a program that waits for its input
expect() {
	local want=$1 found='' pid

	shift
	mkfifo in
	"$GUESTDUMP" verify "$@" - <in >out 2>err &
	pid=$!
	exec 3>in
	for _ in {1..200}; do
		found=$(priority_of $pid) || fail "$*: it has ended: $(cat err)"
		[ "$found" != "$want" ] || break
		sleep 0.05
	done
	exec 3>&-
	wait $pid || true
	rm in
	[ "$found" = "$want" ] || fail "$*: $found"
}

normal=$(priority_of $$)
expect "19 best-effort: prio 7" --nice
expect "$normal"
