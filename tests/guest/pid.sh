#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/pid.sh - a guest that QEMU emulates, by the number of QEMU's process: where its memory
# is, is found in the guest itself, and what is read is what QEMU's own monitor leads to
# test: guest-pid 600
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" = 0 ] || skip "needs root"
tmpdir
cd "$tmp"

# lost COMMAND...: it works, but for the registers
lost() {
	local status=0
	"$@" 2>err || status=$?
	[ $status = 3 ] || fail "exit status $status: $*: $(cat err)"
	grep -q 'the registers of the CPUs are missing' err || fail "$(cat err)"
}

# refused STATUS TEXT WORD...: guestdump fails and says why
refused() {
	local status=0
	"$GUESTDUMP" "${@:3}" >out 2>err || status=$?
	[ $status = "$1" ] || fail "exit status $status: ${*:3}: $(cat err)"
	grep -q "$2" err || fail "${*:3}: $(cat err)"
}

status_is() { [ "$(guest_status)" = "$1" ] || fail "the guest is $(guest_status), not $1, after $2"; }

# same_memory [OPTION...]: all that pid: reads, and qmp: has the same there
same_memory() {
	rm -f ./*.elf ./*.raw*
	"$guest" qmp "$guest_dir" stop >/dev/null
	"$GUESTDUMP" dump -q -E "$guest_source" qmp.elf
	lost "$GUESTDUMP" dump -q -E "$@" "pid:$guest_pid" pid.elf
	"$guest" qmp "$guest_dir" cont >/dev/null
	status_is running "the dumps"
	"$GUESTDUMP" convert -q -f raw qmp.elf qmp.raw
	lost_raw=0
	"$GUESTDUMP" convert -q -f raw pid.elf pid.raw 2>err || lost_raw=$?
	[ $lost_raw = 0 ] || [ $lost_raw = 3 ] || fail "$(cat err)"
	guestdump_json info --json qmp.elf >qmp.json
	guestdump_json info --json pid.elf >pid.json
	/usr/bin/python3 - <<'PY' || fail "the memory differs"
import json

def ranges(name):
    return [(int(str(r["start"]), 0), int(str(r["size"]), 0)) for r in json.load(open(name))["ranges"]]

# without the firmware's memory below 1 MiB and at the end of the first 4 GiB
want = []
for start, size in ranges("qmp.json"):
    if start >= 0xfff00000 and start < 1 << 32:
        continue
    for a, b in (0, 0xa0000), (0x100000, 1 << 64):
        a, b = max(a, start), min(b, start + size)
        if a < b:
            want.append((a, b - a))
got = ranges("pid.json")
assert got == want, (got, want)
with open("qmp.raw", "rb") as q, open("pid.raw", "rb") as p:
    for start, size in got:
        for at in range(start, start + size, 1 << 20):
            n = min(1 << 20, start + size - at)
            q.seek(at)
            p.seek(at)
            assert q.read(n) == p.read(n), hex(at)
PY
}

# one range
start_guest one --mem 256M
same_memory
"$GUESTDUMP" info -v "pid:$guest_pid" >info 2>err
grep -q "^pid:$guest_pid: .*memory layout recovered from the guest's kernel" info || fail "$(cat info)"
grep -q "^kernel  *Linux" info || fail "$(cat info)"
grep -q "^ways  .*qmp:$guest_qmp, .*pid:$guest_pid (taken)" info || fail "$(cat info)"
grep -q "^            pid:$guest_pid: where the memory is, has to be found" info || fail "$(cat info)"
"$GUESTDUMP" info "$guest_source" >info2 || fail "info $guest_source"
grep -q "^ways  .*qmp:$guest_qmp (taken).*pid:$guest_pid" info2 || fail "$(cat info2)"
grep -q "guest memory from 0x100000 to .* as the guest's kernel proves" err || fail "$(cat err)"
lost "$GUESTDUMP" dump -q -d 31 "pid:$guest_pid" small.kdump
"$GUESTDUMP" info small.kdump >info
grep -q "layout recovered from the guest's kernel" info || fail "the dump does not say it: $(cat info)"
"$GUESTDUMP" dmesg "pid:$guest_pid" 2>err | grep 'Linux version' >version || fail "dmesg: $(cat err)"
"$GUESTDUMP" guests >table
grep -q "pid:$guest_pid" table || fail "$(cat table)"

# what would be done, and is not: no thread was traced or stopped
"$GUESTDUMP" dump --dry-run -v "pid:$guest_pid" >dry 2>err || fail "$(cat err)"
grep -q '^  stop its [0-9]* threads with ptrace(2)' dry && grep -q '^  read [0-9]* bytes of its memory' dry ||
	fail "$(cat dry)"
! grep -q 'stopped within' err || fail "a dry run stops the threads: $(cat err)"

guestdump_json dump --dry-run --progress json "pid:$guest_pid" >dry.json 2>err || fail "$(cat err)"
guestdump_json info --json "pid:$guest_pid" >info.json 2>err || fail "$(cat err)"
/usr/bin/python3 - "pid:$guest_pid" "qmp:$guest_qmp" <<'PY' || fail "$(cat dry.json info.json)"
import json, sys

effects = json.load(open("dry.json"))["effects"]
assert effects[0].startswith("stop its ") and effects[1].startswith("read "), effects
ways = {way["name"]: way for way in json.load(open("info.json"))["ways"]}
assert [name for name, way in ways.items() if way["taken"]] == [sys.argv[1]], ways
assert ways[sys.argv[1]]["live"] and not ways[sys.argv[1]]["registers"], ways
assert ways[sys.argv[2]]["works"] and ways[sys.argv[2]]["registers"], ways
PY

# the user says where memory is, and what is wrong is refused
hva=$(sed -n "s/.*guest memory from 0x0 to .* is at 0x\([0-9a-f]*\) of .*/\1/p" <("$GUESTDUMP" info -v "pid:$guest_pid" 2>&1))
[ -n "$hva" ] || fail "no address of memory"
lost "$GUESTDUMP" dump -q --range "0:1M@0x$hva" --range "1M:255M@$(printf 0x%x $((0x$hva + (1 << 20))))" \
	"pid:$guest_pid" ranges.kdump
"$GUESTDUMP" info ranges.kdump >info
grep -q 'layout as given by --range' info && grep -q '^kernel  *Linux' info || fail "$(cat info)"
refused 1 'has no readable memory at 0x0' info --range 0:1M@0 "pid:$guest_pid"
refused 2 'two ranges contain the address 0x100000' \
	info --range "0:2M@0x$hva" --range "1M:2M@0x$hva" "pid:$guest_pid"
refused 2 'no format, ranges, parts or snapshots' info --range 0:1M "$guest_source"
status_is running "all of that"

# killed at any moment, the guest goes on
for i in 1 2 3 4 5 6 7 8 9 10; do
	"$GUESTDUMP" dump -q --force "pid:$guest_pid" killed.kdump 2>/dev/null &
	sleep 0.$((i % 10 * 11 % 10))$i
	kill -9 $! 2>/dev/null || true
	wait $! 2>/dev/null || true
done
[ "$(guest_console 'echo here')" = here ] || fail "the guest gives no answer after guestdump was killed"
! grep -h State "/proc/$guest_pid/task"/*/status | grep -q '[Tt] (' || fail "a thread of QEMU is stopped"

# guestdump is stopped while nobody reads its output: the guest runs again, and the dump says so
is_stopped() { grep -h State "/proc/$guest_pid/task"/*/status | grep -q '[Tt] ('; }
mkfifo pipe
exec 8<>pipe
"$GUESTDUMP" dump -q "pid:$guest_pid" - >pipe 2>stopped.err 8>&- &
child=$!
# shellcheck disable=SC2317 # called at the end
end_child() { kill -9 $child 2>/dev/null; }
cleanup_fn end_child
for ((i = 0; i < 300; i++)); do ! is_stopped || break; sleep 0.1; done
is_stopped || fail "the guest is not paused: $(cat stopped.err)"
kill -STOP $child
sleep 5
is_stopped || fail "the guest is not paused while guestdump is stopped for a short time"
for ((i = 0; i < 200; i++)); do is_stopped || break; sleep 0.1; done
! is_stopped || fail "guestdump is stopped, and the guest is still paused"
kill -CONT $child
cat <&8 >pipe.out &
reader=$!
exec 8>&-
status=0
wait $child || status=$?
kill $reader 2>/dev/null || true
[ $status = 1 ] || [ $status = 3 ] || fail "exit status $status: $(cat stopped.err)"
grep -q 'resumed before all memory was read: guestdump was stopped' stopped.err ||
	fail "$(cat stopped.err)"
"$guest" stop "$guest_dir"

# a hole below 4 GiB, and the kernel on either side of it, as chance will have it
for i in 1 2; do
	start_guest two$i --mem 640M --memory "$([ $i = 1 ] && echo memfd || echo plain)" -- -M pc,max-ram-below-4g=256M
	same_memory
	"$guest" stop "$guest_dir"
done
# no kernel
start_guest early --mem 128M --wait 0 -- -S
refused 1 "place of the guest's memory in process $guest_pid is unknown (--range says it): no Linux kernel" \
	dump -q "pid:$guest_pid" none.kdump
[ ! -e none.kdump ] || fail "a file remains"
