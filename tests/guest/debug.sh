#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# -v shows how a guest is read and when it is paused, -vv what is said to QEMU
#
# test: debug-guest 120
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

requires /usr/bin/python3
start_guest vm
cd "$tmp"

# dump OPTION...: what is reported on the way is in err
dump() {
	"$GUESTDUMP" dump -q --force "$@" "$guest_source" vm.kdump 2>err || fail "dump $*: $(cat err)"
}
reports() {
	grep -qE "^guestdump: debug: [0-9.]+ ms: $1" err || fail "'$1' is missing: $(cat err)"
}

dump
[ ! -s err ] || fail "there are messages without -v: $(cat err)"

dump -v
reports "this is QEMU [0-9.]+.*, process $guest_pid$"
reports "the guest's memory is [0-9]+ mappings of process $guest_pid$"
reports 'the guest is not read by a background snapshot: --live was not asked for$'
reports "the guest is read by access to QEMU's process$"
reports 'the guest is not running \(paused\)'
reports 'the guest is resumed after [0-9.]+ ms$'
! grep -q 'QEMU: ' err || fail "-v has what is for -vv: $(cat err)"

dump -vv
reports '0x0 to 0x[0-9a-f]+ of the guest is at 0x[0-9a-f]+ of the process, RAM$'
reports 'to QEMU: \{"execute":"stop","id":[0-9]+\}$'
reports 'from QEMU: \{"timestamp".*"event": "STOP"\}$'
reports 'from QEMU: \{"return": \{\}, "id": [0-9]+\}$'
reports 'from QEMU: .*FlatView.*\.\.\.$'
reports "the page at 0x0 is the same in QEMU's process and in QEMU's own dump"

dump -v --no-direct
reports "the guest is not read by access to QEMU's process: "
reports 'the guest is read by a dump that QEMU writes$'
