#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/metadata.sh - a dump says which guest it is of, when, where and how it was taken
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires /usr/bin/python3
uuid=21c6e1f4-0c5e-4a4b-8d3e-57c5b4f0a9d2
start_guest vm -- -name 'web 7,debug-threads=on' -uuid $uuid
cd "$tmp"

# expect FILE COMMAND BEFORE AFTER: what it says; the time is between these seconds
expect() {
	guestdump_json info --json "$1" >info.json
	/usr/bin/python3 - "$@" "$(uname -n)" $uuid "$("$GUESTDUMP" --version)" <<-'PYTHON' || fail "$1: see above"
		import json, sys
		_, command, before, after, host, uuid, creator = sys.argv[1:]
		m = json.load(open("info.json"))["metadata"]
		print(m)
		assert m["guest"] == "web 7" and m["uuid"] == uuid and m["host"] == host
		assert m["vmm"].startswith("QEMU ") and m["creator"] == creator
		assert m["command"] == command
		assert int(before) <= m["dump_time"] < int(after) + 1
	PYTHON
}

says_nothing() {
	"$GUESTDUMP" info "$1" >info.out
	! grep -E 'GUESTDUMP|^(guest|host|dumped|command) ' info.out || fail "$1 says where it comes from"
}

before=$(date +%s)
"$GUESTDUMP" dump -q -d 31 "$guest_source" "a 'b'"
after=$(date +%s)
expect "a 'b'" "guestdump dump -q -d 31 $guest_source 'a '\''b'\'''" "$before" "$after"

# the time is that of the pause, not of the end
before=$(date +%s)
"$GUESTDUMP" dump -q -C none --begin 0 --length 64M "$guest_source" - | { sleep 3; cat; } >slow
expect slow "guestdump dump -q -C none --begin 0 --length 64M $guest_source -" "$before" $((before + 2))

before=$(date +%s)
"$GUESTDUMP" dump -q --live -d 31 -E "$guest_source" live.elf
after=$(date +%s)
expect live.elf "guestdump dump -q --live -d 31 -E $guest_source live.elf" "$before" "$after"

# of the guest that runs
"$GUESTDUMP" info "$guest_source" >info.out
grep -qx "guest       web 7, $uuid" info.out || fail "info of a guest: $(cat info.out)"
! grep -E '^(dumped|command) ' info.out || fail "the guest was not dumped"

# a conversion is not a dump
"$GUESTDUMP" convert -q live.elf live.kdump
expect live.kdump "guestdump dump -q --live -d 31 -E $guest_source live.elf" "$before" "$after"

"$GUESTDUMP" convert -q --no-metadata live.elf none.elf
says_nothing none.elf
"$guest" qmp "$guest_dir" stop >stop.out
"$GUESTDUMP" dump -q --no-metadata -d 31 "$guest_source" none.kdump
says_nothing none.kdump
"$GUESTDUMP" dump -q --no-metadata -d 31 "$guest_source" again.kdump
cmp none.kdump again.kdump || fail "two dumps of a paused guest differ"

# the node in the header of a kdump is the guest's
"$guest" qmp "$guest_dir" cont >cont.out
guest_console 'hostname node-77'
"$GUESTDUMP" dump "$guest_source" node.kdump 2>node.err
/usr/bin/python3 -c '
import struct
head = open("node.kdump", "rb").read(4096)
node = head[12 + 65:12 + 2 * 65].split(b"\0")[0]
assert node == b"node-77", node' || fail "another node"

# a dry run counts what the dump has, and the dump is called what it is
"$GUESTDUMP" info node.kdump >node.info
grep -q '^memory .*, none omitted$' node.info || fail "a full dump: $(cat node.info)"
pages=$(sed -n 's/.*[^0-9]\([0-9]*\) pages: .*/\1/p' node.err)
"$GUESTDUMP" dump --dry-run "$guest_source" >dry.out 2>&1
grep -q "^$pages of [0-9]* pages would be kept; about " dry.out || fail "the dump has $pages pages: $(cat dry.out)"
"$GUESTDUMP" verify node.kdump | grep -q "^node.kdump: OK: $pages pages ([0-9]* zero), none omitted, checksum valid$" ||
	fail "verify counts other pages than $pages"
