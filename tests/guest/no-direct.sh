#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/no-direct.sh - where QEMU's process cannot be read, everything works as where it
# can: levels, --paging, info and dmesg; also if QEMU cannot open a file of ours
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

requires setpriv python3
[ "$(id -u)" = 0 ] || skip "needs root, to become another user"
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all)
"${nobody[@]}" test -x "$GUESTDUMP" || skip "$GUESTDUMP is not for everybody"

# as_nobody COMMAND...: the program as a user who has the monitor and nothing else
as_nobody() { "${nobody[@]}" "$GUESTDUMP" "$@"; }

# same NAME DUMP...: the dumps have the same pages and notes as the one with direct reading
same() {
	local dump
	for dump in "${@:2}"; do
		"$GUESTDUMP" convert -q --no-metadata --force -E "$dump" "$dump.elf"
		"$GUESTDUMP" convert -q --no-metadata --force -E "$1" "$1.elf"
		cmp "$1.elf" "$dump.elf" || fail "$dump is not the same as $1"
	done
}

check_guest() {
	chmod 711 "$guest_dir"
	chmod 666 "$guest_qmp"
	"$GUESTDUMP" dmesg "$guest_source" >direct.log
	as_nobody dmesg "$guest_source" >nobody.log 2>nobody.err
	cmp direct.log nobody.log || fail "dmesg differs"
	grep -q 'QEMU itself must read' nobody.err || fail "dmesg: $(cat nobody.err)"
	as_nobody info --pages "$guest_source" >info.out 2>>nobody.err
	grep -q '^kernel .* #1 ' info.out || fail "info has no version: $(cat info.out)"
	grep -q '^tasks ' info.out || fail "info has no tasks: $(cat info.out)"
	grep -qE '^ +[0-9]{5,} .* free' info.out || fail "info does not know free pages: $(cat info.out)"
	"$GUESTDUMP" dump -q --no-metadata -d 31 --no-direct "$guest_source" running.kdump 2>dump.err
	[ "$(stat -c %s running.kdump)" -lt 50000000 ] || fail "a running guest is not filtered"
	[ "$(guest_status)" = running ] || fail "the guest is $(guest_status)"

	"$guest" qmp "$guest_dir" stop >stop.out
	"$GUESTDUMP" dump -q --no-metadata -d 31 "$guest_source" direct.kdump
	"$GUESTDUMP" dump -q --no-metadata -d 31 --no-direct "$guest_source" slow.kdump
	(umask 077; cd nobody; as_nobody dump -q --no-metadata -d 31 "$guest_source" nobody.kdump) 2>dump.err
	same direct.kdump slow.kdump nobody/nobody.kdump
	"$GUESTDUMP" dump -q --no-metadata -E --paging "$guest_source" direct-paging.elf
	"$GUESTDUMP" dump -q --no-metadata -E --paging --no-direct "$guest_source" slow-paging.elf
	cmp direct-paging.elf slow-paging.elf || fail "--paging differs"
	[ "$(guest_status)" = paused ] || fail "the guest is $(guest_status)"
	find "/proc/$guest_pid/fd" -lname '/memfd:guestdump*' >open.out
	[ ! -s open.out ] || fail "QEMU still has a file of ours: $(cat open.out)"
	rm -f ./*.kdump ./*.elf nobody/*
}

tmpdir
chmod 711 "$tmp"
cd "$tmp"
mkdir nobody
chown 65534:65534 nobody

start_guest vm --mem 256M
check_guest
if grep 'for a moment' nobody.err; then fail "the guest was paused"; fi
"$guest" stop "$guest_dir"

# nothing can be opened in an empty root directory
mkdir empty
start_guest chroot --mem 256M -- -chroot "$tmp/empty"
check_guest
grep -q 'is paused for a moment, time and again.*/proc/self/fd/' nobody.err ||
	fail "no warning that the guest is paused: $(cat nobody.err)"
