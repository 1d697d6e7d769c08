#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/report-crash.sh - a report has what crash, with the kernel's debugging data, shows of a
# dump of the same guest: stacks, tasks, memory, slabs, modules, mounts, disks, log
# test: report-crash 1800
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires_full
requires mkfs.ext4 python3
tmpdir
cd "$tmp"

lacks() {
	[ "$1" = 3 ] && skip "$2 is not to be had here"
	fail "scripts/guest: $2"
}
crash=$("$guest" crash) || lacks $? "crash for this kernel"
vmlinux=$("$guest" debug x86_64) || lacks $? "this kernel's debugging data"
"$guest" module x86_64 "$root/tests/guest/hang.c" "$tmp/module" >module.out || lacks $? "headers of this kernel"
"$guest" modules x86_64 crc32c_generic ext4 virtio_blk virtio_pci >modules || lacks $? "modules of this kernel"

mkdir tree
cp "$(cat module.out)" tree/hang.ko
while read -r module; do
	cp "$module" tree
	echo "insmod /${module##*/}"
done <modules >load
mv load tree
truncate -s 32M disk
mkfs.ext4 -q disk
start_guest vm --mem 512M --add "$tmp/tree" -- -drive file="$tmp/disk",format=raw,if=virtio
guest_console 'sh /load; insmod /hang.ko; mkdir /mnt; mount -t ext4 /dev/vda /mnt; head -c 20000000 /dev/zero >/tmp/x
	for what in mutex rwsem locks; do echo $what >/proc/hang; done; sleep 2
	while :; do :; done </dev/null >/dev/null 2>&1 &' >setup.out || fail "$(cat setup.out)"
"$guest" qmp "$guest_dir" stop >stop.out
guestdump_json report --all --json "$guest_source" >report.json
"$GUESTDUMP" dump -q -E "$guest_source" vm.elf
cat >commands <<-'COMMANDS'
	bt -a >bt
	foreach bt >all
	ps >ps
	kmem -i >kmem-i
	kmem -s >kmem-s
	mod >mod
	mount >mount
	dev -d >dev
	log >log
	quit
COMMANDS
HOME=$tmp TERM=dumb "$crash" --no_scroll -s -i commands "$vmlinux" vm.elf </dev/null >crash.out 2>&1 ||
	fail "crash: $(tail crash.out)"

python3 - <<'PYTHON' || fail "not as crash shows it: see above"
import json
import re
import sys

report = json.load(open("report.json"))
bad = []

def text(name):
    return open(name, errors="replace").read()

def same(what, ours, theirs):
    print("%s: %s" % (what, "the same" if ours == theirs else "NOT the same"))
    if ours != theirs:
        bad.append(what)
        print("  in the report: %s\n  in crash: %s" % (ours, theirs))

def stacks(name):
    """Functions by task; crash prints what it takes for an exception by its registers."""
    found = {}
    for part in re.split(r"(?m)^(?=PID: )", text(name))[1:]:
        pid, cpu = re.match(r"PID: +(\d+).*CPU: (\d+)", part).groups()
        frames = re.findall(r"^ *#\d+ \[\w+\] (\S+) at ", part, re.M)
        rip = re.search(r"\[exception RIP: ([^+\]]+)", part.split("#0")[0])
        found[int(pid) or -1 - int(cpu)] = ([rip[1]] if rip else []) + frames
    return found

def functions(stack):
    return [f["function"] for f in stack["frames"] if f.get("function")]

# Above the entry from user mode, crash goes on and prints what remains of earlier calls
def compare_stacks():
    theirs, num, longer = stacks("all"), 0, 0
    for task in report["blocked"]:
        pid = task["task"]["pid"]
        ours = functions(task["stack"])
        if not ours:
            continue
        frames = theirs[pid]
        if task["stack"]["end"] == "user" and len(frames) > len(ours):
            frames = frames[:len(ours)]
            longer += 1
        num += 1
        if ours != frames:
            same("the stack of %d" % pid, ours, frames)
    print("stacks: %d, %d of them go on in crash after the entry from user mode" % (num, longer))
    if num < 40:
        bad.append("%d stacks" % num)

# Of a CPU in user mode, crash prints what remains of an earlier call
def compare_cpus():
    theirs = stacks("bt")
    for cpu in report["cpus"]:
        pid = cpu["task"]["pid"]
        if cpu["mode"] == "user":
            print("CPU %d: in user mode" % cpu["cpu"])
        else:
            same("CPU %d" % cpu["cpu"], functions(cpu["stack"]), theirs[pid or -1 - cpu["cpu"]])

def compare_tasks():
    letters = {"RU": "R", "IN": "S", "UN": "D", "ID": "I", "ZO": "Z", "ST": "T"}
    theirs = sorted((int(pid), letters[state], name.strip("[]")) for pid, state, name in re.findall(
        r"^[> ] *(\d+) +\d+ +\d+ +\w+ +(\w\w) .* (\S+) *$", text("ps"), re.M) if int(pid))
    ours = {(t["task"]["pid"], t["task"]["state"], t["task"]["name"]) for t in report["blocked"]}
    ours |= {(c["task"]["pid"], c["task"]["state"], c["task"]["name"]) for c in report["cpus"] if c["task"]["pid"]}
    same("tasks, %d" % len(ours), sorted(ours), theirs)

def compare_memory():
    theirs = {k.strip(): int(v) * 4096 for k, v in re.findall(r"^ +([A-Z ]+?) +(\d+) ", text("kmem-i"), re.M)}
    memory = report["memory"]
    for name, ours in (("TOTAL MEM", memory["total"]), ("FREE", memory["free"]), ("BUFFERS", memory["buffers"]),
                       ("CACHED", memory["page_cache"]),
                       ("SLAB", memory["slab_reclaimable"] + memory["slab_unreclaimable"])):
        same("memory: %s" % name, ours, theirs[name])

def compare_slabs():
    theirs = {name: (int(total), int(slabs) * int(size) * 1024) for total, slabs, size, name in re.findall(
        r"^\w+ +\d+ +\d+ +(\d+) +(\d+) +(\d+)k +(\S+)$", text("kmem-s"), re.M)}
    for slab in report["memory"]["slabs"]:
        same("slab %s" % slab["name"], (slab["objects"], slab["size"]), theirs[slab["name"]])

def compare_others():
    theirs = sorted(re.findall(r"^\w{16} +(\S+) +\w{16} +(\d+)", text("mod"), re.M))
    same("modules", sorted((m["name"], str(m["size"])) for m in report["modules"]), theirs)
    theirs = sorted(re.findall(r"^\w{16} \w{16} (\S+) +(\S+) +(\S+) *$", text("mount"), re.M))
    same("mounts", sorted((m["type"], m["device"], m["path"]) for m in report["mounts"]), theirs)
    theirs = re.findall(r"^ +\d+ \w+ +(\S+) +\w+ +(\d+) ", text("dev"), re.M)
    same("disks", [(d["name"], str(d["in_flight"])) for d in report["disks"]], theirs)
    theirs = [line.split("] ", 1)[1].rstrip() for line in text("log").splitlines() if "] " in line]
    # crash prints a record of several lines without their times
    same("log", [r["text"].split("\n")[0].rstrip() for r in report["log"]["all"]], theirs)

for check in (compare_stacks, compare_cpus, compare_tasks, compare_memory, compare_slabs, compare_others):
    check()
sys.exit(len(bad) > 0)
PYTHON
