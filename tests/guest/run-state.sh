#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/run-state.sh - info and the summary of a dump say why a guest is not running
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

start_guest vm --mem 128M -- -no-shutdown
cd "$tmp"

# await STATE: until QEMU reports it
await() {
	local tries
	for tries in $(seq 150); do
		[ "$(guest_status)" != "$1" ] || return 0
		sleep 0.2
	done
	fail "after $tries tries, the guest is $(guest_status), not $1"
}

# shows TEXT [SUMMARY]: info has it as the state, and the dump's summary has SUMMARY
shows() {
	"$GUESTDUMP" info "$guest_source" >info.out 2>info.err
	grep -qFx "state       $1" info.out || fail "not \"$1\": $(cat info.out info.err)"
	[ $# -gt 1 ] || return 0
	"$GUESTDUMP" dump --force --progress plain "$guest_source" vm.kdump 2>dump.err
	grep -qF "guest was not running, and stays so: $2" dump.err || fail "no \"$2\": $(cat dump.err)"
	[ "$(guest_status)" = "$state" ] || fail "the guest was $state, and is $(guest_status)"
}

shows running
state=paused
"$guest" qmp "$guest_dir" stop >stop.out
shows 'not running: it was paused before (paused)' 'it was paused before (paused)'
"$guest" qmp "$guest_dir" cont >cont.out
await running

state=suspended
"$guest" console "$guest_dir" 'sleep 0.1; echo mem >/sys/power/state' >suspend.out 2>&1 &
await suspended
shows 'not running: it is suspended to RAM (suspended)' 'it is suspended to RAM (suspended)'
"$guest" qmp "$guest_dir" system_wakeup >wakeup.out
await running
wait || true

state=shutdown
"$guest" console "$guest_dir" 'poweroff -f' >poweroff.out 2>&1 &
await shutdown
shows 'not running: it has shut down (shutdown)' 'it has shut down (shutdown)'
kill $! 2>/dev/null || true
wait || true
