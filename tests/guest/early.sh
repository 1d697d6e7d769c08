#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/early.sh - of a kernel that has only begun to boot, the version and the log are
# found by a search; firmware is called by its name
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

requires qemu-system-x86_64
start_guest vm --mem 128M --wait 0 --append 'earlyprintk=ttyS0 nokaslr'
cd "$tmp"
for tries in $(seq 300); do
	! grep -aq 'Memory: .*available' "$guest_dir/console.log" 2>/dev/null || break
	sleep 0.1
done
"$guest" qmp "$guest_dir" stop >stop.out
version=$(sed -n '/Linux version/{s/^\[[^]]*\] //;s/\r//;p;q}' "$guest_dir/console.log")
[ -n "$version" ] || fail "the kernel has not begun to boot after $tries tries"
if grep -aq 'Run /init' "$guest_dir/console.log"; then skip "the guest is too fast to be paused early"; fi

# check_early WHERE: info and dmesg know what the console has
check_early() {
	"$GUESTDUMP" info "$1" >info.out
	grep -qF "kernel      Linux $(cut -d' ' -f3 <<<"$version"), #" info.out || fail "info $1: $(cat info.out)"
	grep -q 'without VMCOREINFO' info.out || fail "info $1: $(cat info.out)"
	"$GUESTDUMP" dmesg "$1" >log
	[ "$(sed -n '1s/^\[[^]]*\] //p' log)" = "$version" ] || fail "dmesg $1 begins with $(head -n 1 log)"
	grep -q '^\[ *[0-9.]*\] Memory: .*available' log || fail "dmesg $1: $(cat log)"
	"$GUESTDUMP" report --section verdict "$1" >report.txt || fail "report $1 fails"
	grep -qF "!! Linux $(cut -d' ' -f3 <<<"$version") is booting" report.txt || fail "report $1: $(cat report.txt)"
	grep -q 'the last line of its log, [0-9.]* s after boot: .' report.txt || fail "report $1: $(cat report.txt)"
	# the console has no lines for debugging
	sed 's/\r//' "$guest_dir/console.log" | grep -a '^\[' | head -n 50 >console
	! grep -vxFf log console || fail "dmesg $1 lacks these lines"
}

check_early "$guest_source"
# what is not known is a reason, and no success
fails_with 6 "$GUESTDUMP" dump -q -d 31 "$guest_source" vm.kdump 2>err
grep -q 'not filtered: there is no VMCOREINFO' err || fail "dump -d 31: $(cat err)"
check_early vm.kdump
"$guest" stop "$guest_dir"

# firmware without anything to boot
qemu-system-x86_64 -accel tcg -m 64M -display none -nodefaults -qmp unix:"$tmp/bios",server=on,wait=off &
qemu=$!
cleanup_fn kill $qemu
for tries in $(seq 100); do
	"$GUESTDUMP" info "qmp:$tmp/bios" >info.out 2>err || true
	! grep -q 'and has the firmware SeaBIOS' info.out || break
	sleep 0.2
done
grep -A1 '^kernel  *unknown: there is no VMCOREINFO; memory was searched' info.out |
	grep -q 'and has the firmware SeaBIOS' || fail "after $tries tries: $(cat info.out err)"
"$GUESTDUMP" report -s verdict "qmp:$tmp/bios" >report.txt || fail "report of firmware fails"
grep -q '^!! there is no Linux kernel, but the firmware SeaBIOS' report.txt || fail "report: $(cat report.txt)"
fails_with 1 "$GUESTDUMP" dmesg "qmp:$tmp/bios" 2>err
grep -q 'no VMCOREINFO, and memory has no Linux kernel, but the firmware SeaBIOS' err || fail "dmesg: $(cat err)"
