#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/nice.sh - with --nice, the program has the lowest priority for CPUs and disks, but not the
# process that resumes the guest
# test: nice 60
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires ionice ps /usr/bin/python3
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

# A monitor that accepts, and says nothing
python3 - monitor <<'PYTHON' &
import socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
kept = server.accept()
time.sleep(60)
PYTHON
server=$!
until [ -S monitor ]; do sleep 0.05; done
"$GUESTDUMP" dump --nice qmp:monitor out.kdump 2>err &
dump=$!
guard=
for _ in {1..200}; do
	guard=$(pgrep -P $dump) || true
	[ -z "$guard" ] || [ "$(priority_of $dump)" != "19 best-effort: prio 7" ] || break
	sleep 0.05
done
[ -n "$guard" ] || fail "no guard: $(cat err)"
found=$(priority_of $dump)/$(priority_of "$guard")
kill $dump $server
wait $dump $server || true
[ "$found" = "19 best-effort: prio 7/$normal" ] || fail "dump, guard: $found"
