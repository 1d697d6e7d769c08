#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/kernel.sh - what a guest's kernel says of itself inside is what info and dmesg
# find outside: in the running guest, in each kind of file, and after a panic
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/../peer/guest.bash"

requires python3
start_guest vm --mem 256M --append panic=0
cd "$tmp"

# same_kernel: inside (uptime, btime, names of tasks by number) and info.json agree
same_kernel() {
	python3 - <<'PYTHON' || fail "see above"
import json
import sys
info = json.load(open("info.json"))
lines = open("inside").read().splitlines()
uptime, btime = float(lines[0].split()[0]), int(lines[1].split()[1])
# a thread of the kernel has a longer name, too, elsewhere
inside = {int(line.split(" ", 1)[0]): line.split(" ", 1)[1][:15] for line in lines[2:]}
bad = []
if not uptime - 5 < info["uptime_seconds"] <= uptime + 30 or info["uptime_is_lower_bound"]:
    bad.append("uptime is %s; inside, it was %s" % (info["uptime_seconds"], uptime))
if abs(info["boot_time"] - btime) > 1:
    bad.append("booted at %s; inside, it was %s" % (info["boot_time"], btime))
if info["panic"]:
    bad.append("panic: %s" % info["panic"])
outside = {task["pid"]: task["name"] for task in info["tasks"] if task["pid"]}
# workers come and go, as do the programs that have told this
for pid in set(inside) | set(outside):
    names = inside.get(pid), outside.get(pid)
    if names[0] != names[1] and not any((name or "kworker").startswith(("kworker", "sh", "cat"))
                                        for name in names):
        bad.append("task %d is %s; inside, it was %s" % (pid, names[1], names[0]))
if len(outside) < 30 or "sleeper" not in outside.values():
    bad.append("found only %s" % sorted(outside.values()))
running = [task for task in info["tasks"] if task["running_cpu"] is not None]
if sorted(task["running_cpu"] for task in running) != [0, 1]:
    bad.append("CPUs run %s" % running)
print("%d tasks, %s s" % (len(outside), info["uptime_seconds"]))
print("\n".join(bad), file=sys.stderr)
sys.exit(bool(bad))
PYTHON
}

guest_console 'mkfifo /tmp/f
	sh -c "printf sleeper >/proc/self/comm; read x </tmp/f" >/dev/null 2>&1 &
	echo \<6\>guestdump: said in the guest >/dev/kmsg' >setup.out
# shellcheck disable=SC2016 # for the guest's shell
guest_console 'cat /proc/uptime; grep btime /proc/stat
	for p in /proc/[0-9]*; do echo "${p#/proc/} $(cat $p/comm)"; done' >inside
guest_console dmesg >log
guestdump_json info --json --tasks "$guest_source" >info.json
same_kernel
"$GUESTDUMP" info "$guest_source" >info.txt
grep -q '^booted  .* UTC, 00:0' info.txt || fail "no time of boot: $(cat info.txt)"
grep -q '^  CPU 1 *runs ' info.txt || fail "nothing runs on CPU 1: $(cat info.txt)"
[ "$(guest_status)" = running ] || fail "info leaves the guest $(guest_status)"

# every kind of file; the guest stands still, so that all are of one moment
"$guest" qmp "$guest_dir" stop >stop.out
guestdump_json info --json --tasks "$guest_source" >info.json
same_kernel
"$GUESTDUMP" dump -q -d 31 "$guest_source" kdump
"$GUESTDUMP" dump -q -E "$guest_source" elf
"$GUESTDUMP" dump -q -d 31 -F "$guest_source" - >flat
for format in lime raw; do
	"$GUESTDUMP" convert -q -f $format elf $format
done
"$GUESTDUMP" convert -q -d 31 --split 2 -z elf split
"$GUESTDUMP" info --tasks "$guest_source" | sed -n '/^booted/,$p' >live.txt
grep -q 'sleeper$' live.txt || fail "the running guest has no sleeper: $(cat live.txt)"
for files in kdump elf flat lime raw 'split-1 split-2'; do
	# shellcheck disable=SC2086 # several files
	"$GUESTDUMP" info --tasks $files | sed -n '/^booted/,$p' | diff live.txt - ||
		fail "$files: not the tasks of the guest"
	[ "${files% *}" = "$files" ] || continue
	"$GUESTDUMP" dmesg "$files" >our.log
	same_log our.log
	guestdump_json dmesg --json "$files" >json.log
	python3 - <<'PYTHON' || fail "$files: dmesg --json differs"
import json
import sys
records = [json.loads(line) for line in open("json.log")]
said = [r for r in records if r["text"] == "guestdump: said in the guest"]
if len(said) != 1 or said[0]["level"] != 6 or said[0]["facility"] != 1:
    sys.exit("what a process said: %s" % said)
if [r["seq"] for r in records] != list(range(records[0]["seq"], records[0]["seq"] + len(records))):
    sys.exit("numbers are missing")
text = [line.split("] ", 1)[1] for line in open("our.log").read().splitlines() if line[0] == "["]
if text != [r["text"].split("\n")[0] for r in records]:
    sys.exit("another text")
PYTHON
done
"$guest" qmp "$guest_dir" cont >cont.out

# A panic
"$guest" console "$guest_dir" 'echo c >/proc/sysrq-trigger' >panic.out 2>&1 &
asked=$!
cleanup_fn kill "$asked" 2>/dev/null
for ((i = 0; i < 300; i++)); do
	grep -aq 'end Kernel panic' "$guest_dir/console.log" && break
	sleep 0.1
done
"$GUESTDUMP" info "$guest_source" >info.txt
grep -q '^panic       sysrq triggered crash (on CPU [01])$' info.txt || fail "no panic: $(cat info.txt)"
"$GUESTDUMP" dump -q -d 31 "$guest_source" panic
guestdump_json info --json panic | python3 -c '
import json, sys
info = json.load(sys.stdin)
assert info["panic"]["message"] == "sysrq triggered crash" and info["panic"]["cpu"] in (0, 1), info["panic"]
assert info["panic"]["cpu"] in [t["running_cpu"] for t in info["running_tasks"] if t["name"] == "sh"], info["running_tasks"]
' || fail "the dump does not tell of the panic"
"$GUESTDUMP" dmesg panic >our.log
grep -q 'Kernel panic - not syncing: sysrq triggered crash' our.log || fail "dmesg does not tell of the panic"
