#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/equal.sh [KIND [SIZE [OPTION...]]]
#
# What we read of a stopped guest is what QEMU dumps of it, byte for byte and note for
# note, however its memory is made (KIND: see scripts/guest --memory) and whoever we are.
# Reading allocates no memory in the guest.  OPTION: more for scripts/guest start.
#
# test: equal-plain 300 plain
# test: equal-memfd 300 memfd
# test: equal-memfd-private 300 memfd-private
# test: equal-file 300 file
# test: equal-file-private 300 file-private
# test: equal-plain-5G 300 plain 5G
# test: equal-memfd-5G 300 memfd 5G
# test: equal-file-5G 300 file 5G
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

kind=${1:-plain} size=${2:-512M}
shift $(($# < 2 ? $# : 2))

requires /usr/bin/python3
case $kind in *-private) requires_full ;; esac
if [ "$size" = 5G ]; then
	[ "$kind" = plain ] || requires_full
	available=$(awk '$1 == "MemAvailable:" { print int($2 / 1048576) }' /proc/meminfo)
	[ "$available" -ge 8 ] || skip "needs 8 GiB of free memory"
fi

start_guest vm --memory "$kind" --mem "$size" "$@"
cd "$tmp"

# QEMU's dump has no note of ours
dump() { "$GUESTDUMP" dump -q --no-metadata "$@"; }

expect_status() {
	local status
	status=$(guest_status)
	[ "$status" = "$1" ] || fail "the guest is $status, not $1, after: $2"
}

# KiB that QEMU has in memory, and that its memory's file has allocated
kib_used() {
	local file blocks=0
	case $kind in
	memfd*) file=$(find "/proc/$guest_pid/fd" -lname '/memfd:*' | head -n1) ;;
	file*) file=$guest_dir/ram ;;
	*) file= ;;
	esac
	if [ -n "$file" ]; then blocks=$(stat -L -c %b "$file"); fi
	awk -v blocks="$blocks" '$1 == "VmRSS:" { print $2 + blocks / 2 }' "/proc/$guest_pid/status"
}

# the memory of a running guest is another one at each moment: only that all goes well
dump "$guest_source" running.kdump
expect_status running "a dump while it ran"
"$GUESTDUMP" verify -q running.kdump >running.out || fail "verify: $(cat running.out)"
rm running.kdump

"$guest" qmp "$guest_dir" stop >stop.out
before=$(kib_used)
dump -E "$guest_source" vm.elf
dump "$guest_source" vm.kdump
after=$(kib_used)
echo "memory of QEMU in KiB: $before before, $after after"
awk "BEGIN { exit !($after - $before < 16384) }" ||
	fail "reading made QEMU's memory grow from $before to $after KiB"
expect_status paused "dumps while it stood still"
dumps=(vm.elf vm.kdump)

if [ "$size" != 5G ] || [ "$kind" = plain ]; then
	dump -E --no-direct "$guest_source" slow.elf
	expect_status paused "a dump with --no-direct"
	dumps+=(slow.elf)
fi

# by a user who has the monitor and nothing else
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all)
if [ "$size" = 5G ]; then
	:
elif [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
	echo "left out: another user (needs root and setpriv)"
elif ! "${nobody[@]}" test -x "$GUESTDUMP"; then
	echo "left out: another user ($GUESTDUMP is not for everybody)"
else
	chmod 711 . "$guest_dir"
	chmod 666 "$guest_qmp"
	mkdir nobody
	chown 65534:65534 nobody
	"${nobody[@]}" "$GUESTDUMP" dump -q --no-metadata "$guest_source" nobody/vm.kdump 2>nobody.err ||
		fail "as user 65534: $(cat nobody.err)"
	cat nobody.err
	grep -q 'QEMU itself must read.*user 65534.*CAP_SYS_PTRACE' nobody.err ||
		fail "as user 65534 there is no word of the missing right"
	expect_status paused "a dump by another user"
	dumps+=(nobody/vm.kdump)
fi

# Firmware that ends at 4 GiB is no memory of the kernel's, and a kdump that goes up to
# there is larger than what makedumpfile takes.  With RAM above it, it must be in.
may_lack=()
if [ "$size" != 5G ]; then may_lack=(--may-lack fffc0000-ffffffff); fi

# last, because it allocates all of the guest's memory
mkfifo qemu.elf
/usr/bin/python3 "$root/tests/tools/dumpcmp.py" "${may_lack[@]}" qemu.elf "${dumps[@]}" &
compare=$!
# shellcheck disable=SC2317 # called at the end
end_compare() { kill "$compare" 2>/dev/null; }
cleanup_fn end_compare
"$guest" qmp "$guest_dir" '{"execute": "dump-guest-memory", "arguments":
	{"paging": false, "protocol": "file:'"$tmp"'/qemu.elf"}}' >qemu.out ||
	echo "QEMU: $(cat qemu.out)"
wait "$compare" || fail "the dumps are not equal"

"$guest" qmp "$guest_dir" cont >cont.out
dump "$guest_source" again.kdump
expect_status running "all of that"
answer=$(guest_console 'echo here') || fail "the guest gives no answer after all of that"
[ "$answer" = here ] ||
	fail "the guest says '$answer' after all of that"
