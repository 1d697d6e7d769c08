#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/guest/live.sh - dump --live shows one moment of a guest that writes without
# pause, and whatever happens to it the guest goes on
# test: live 600
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

requires /usr/bin/python3 gcc
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
moment=$here/../tools/moment.py
add=$(mktemp -d)
remove_add() { rm -rf "$add"; }
cleanup_fn remove_add
mkdir "$add/bin"
gcc -static -O1 -o "$add/bin/moment" "$here/moment.c" 2>"$add/gcc" ||
	skip "no static libc to compile a program for the guest"
rm "$add/gcc"
start_guest vm --mem 512M --add "$add"
cd "$tmp"

alive() { "$guest" console "$guest_dir" 'echo it goes on' | grep -q 'it goes on' || fail "$1: the guest hangs"; }
capability() { "$guest" qmp "$guest_dir" query-migrate-capabilities | tr '}' '\n' | grep background-snapshot; }

"$guest" console "$guest_dir" 'moment 16384 >/dev/null 2>&1 & echo started' >started
sleep 3
rounds=3
[ -z "${GUESTDUMP_FULL:-}" ] || rounds=20

# The check can fail: memory that is read without a pause is of no one moment
torn=0
for _ in 1 2 3 4 5; do
	/usr/bin/python3 "$moment" --process "$(cat "$guest_dir/pid")" >torn.out 2>&1 || torn=$((torn + 1))
done
[ $torn -gt 0 ] || fail "memory that was read without a pause looks like one moment: $(cat torn.out)"

for i in $(seq $rounds); do
	"$GUESTDUMP" dump --live -E --force "$guest_source" live.elf 2>live.err || fail "$(cat live.err)"
	/usr/bin/python3 "$moment" live.elf >moment.out 2>&1 || fail "round $i: $(cat moment.out)"
	grep paused live.err
	alive "after round $i"
done
rm live.elf
"$GUESTDUMP" dump --live -q "$guest_source" live.kdump
"$GUESTDUMP" verify -q live.kdump >verify.out
"$GUESTDUMP" convert -q -E live.kdump again.elf
/usr/bin/python3 "$moment" again.elf >moment.out 2>&1 || fail "kdump: $(cat moment.out)"
rm live.kdump again.elf
capability | grep -q false || fail "the capability is still on"

# Ctrl-C, and kill -9, at several moments
for delay in 0.2 0.5 0.9; do
	"$GUESTDUMP" dump --live -q --force "$guest_source" int.kdump 2>int.err &
	pid=$!
	sleep $delay
	kill -INT $pid 2>/dev/null || true
	status=0
	wait $pid || status=$?
	[ $status = 4 ] || [ $status = 0 ] || fail "SIGINT: status $status: $(cat int.err)"
	alive "SIGINT after $delay s"
	"$GUESTDUMP" dump --live -q --force "$guest_source" kill.kdump 2>kill.err &
	pid=$!
	sleep $delay
	kill -KILL $pid 2>/dev/null || true
	wait $pid 2>/dev/null || true
	alive "SIGKILL after $delay s"
done
sleep 2
capability | grep -q false || fail "the capability is still on after kill -9"
"$GUESTDUMP" dump --live -q --force "$guest_source" last.kdump || fail "no snapshot after a kill -9"

# What needs its pages in order is refused, and nothing is paused for it
for where in "-f lime refused.lime" "-E -"; do
	status=0
	# shellcheck disable=SC2086
	"$GUESTDUMP" dump --live -q "$guest_source" $where 2>refused.err | cat >refused.out || status=${PIPESTATUS[0]}
	[ "$status" = 2 ] || fail "$where: status $status: $(cat refused.err)"
done
alive "refused"
