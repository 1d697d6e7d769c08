#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/report-facts.sh ARCH - memory, modules, mounts and devices in a report are those that
# the guest itself shows
#
# test: report-facts 600 x86_64
# test: report-facts-next 600 x86_64@trixie
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires python3 readelf
arch=$1
[ "$arch" = x86_64 ] || requires_full
tmpdir
cd "$tmp"

mkdir tree
mapfile -t modules < <("$guest" modules "$arch" virtio_pci virtio_balloon virtio_blk ext4 crc32c_generic dummy)
[ ${#modules[@]} -gt 4 ] || skip "cannot download the modules of the guest's kernel"
cp "${modules[@]}" tree
truncate -s 32M disk
mkfs.ext4 -q -b 4096 disk || skip "needs mkfs.ext4"
start_guest vm --arch "$arch" --mem 256M --add "$tmp/tree" -- -device virtio-balloon-pci \
	-drive file="$tmp/disk",if=virtio,format=raw,cache=unsafe

# Everything has a size of its own: a process of 12 MiB, 16 MiB of tmpfs, 4 MiB of huge pages, 4 MiB of
# buffers, 20 MiB of balloon
guest_console "for module in $(printf '/%s ' "${modules[@]##*/}"); do insmod \$module; done" >insmod.out 2>&1 ||
	fail "$(cat insmod.out)"
# shellcheck disable=SC2016 # for the guest's shell
guest_console 'mkdir /m; mount -t ext4 -o ro /dev/vda /m; mkdir "/tmp/a b"; mount -t tmpfs -o size=1m small "/tmp/a b"
	ip link add dummy7 type dummy; ip addr add 10.1.2.3/24 dev dummy7; ip link set dummy7 up; ip link set lo up
	head -c 16777216 /dev/zero >/tmp/file; head -c 4194304 /dev/vda >/dev/null; echo 2 >/proc/sys/vm/nr_hugepages
	sh -c '\''large=$(yes 0123456789abcde | head -c 12582912); while :; do sleep 3600; done'\'' </dev/null >/dev/null 2>&1 &
	i=0; while [ $i -lt 60 ]; do i=$((i + 1)); sleep 1
		[ "$(awk "/VmRSS/ { print \$2 }" /proc/$!/status)" -gt 12000 ] && break; done; echo $!' >setup.out 2>&1
"$guest" hmp "$guest_dir" 'balloon 236' >balloon.out
sleep 3

# The facts move slowly: the guest's view before and after
look() {
	guest_console 'cat /proc/meminfo' >"meminfo.$1"
	guest_console 'cat /proc/zoneinfo' >"zoneinfo.$1"
	guest_console 'cat /proc/slabinfo' >"slabinfo.$1"
}
guest_console 'cat /proc/vmstat' >vmstat
guest_console 'cat /proc/modules' >modules
guest_console 'cat /proc/mounts' >mounts
guest_console 'ip addr' >ip
# shellcheck disable=SC2016 # for the guest's shell
guest_console 'for d in /sys/block/*; do echo "${d##*/} $(cat $d/size) $(cat $d/inflight)"; done' >blocks
for module in tree/*.ko; do
	readelf -n "$module" | sed -n "s,^ *Build ID: ,$(basename "$module" .ko) ,p"
done >build-ids
guest_console 'cat /proc/[0-9]*/status' >status
look before
"$GUESTDUMP" report -v "$guest_source" >report.txt 2>verbose || fail "report fails: $(cat report.txt verbose)"
guestdump_json report --json "$guest_source" >report.json
look after

# What differs is what the commands above themselves use
python3 - <<'PYTHON' || fail "not as in the guest: see above; $(sed -n '/^Memory/,/^Log/p' report.txt; cat verbose)"
import json
import re
import sys

MIB = 1 << 20
report = json.load(open("report.json"))
memory = report["memory"]
bad = []

def text(name):
    return open(name, errors="replace").read()

def expect(what, is_so):
    if not is_so:
        bad.append(what)
        print("not so:", what)

def near(name, value, low, high, slack):
    low, high = min(low, high), max(low, high)
    expect("%s is %d, in the guest %d to %d" % (name, value, low, high), low - slack <= value <= high + slack)

def meminfo(name):
    return {k: int(v) * 1024 for k, v in re.findall(r"^(\w+): +(\d+) kB", text(name), re.M)}

def in_meminfo():
    before, after = meminfo("meminfo.before"), meminfo("meminfo.after")
    for name, theirs, slack in (
            ("total", "MemTotal", 0), ("free", "MemFree", 2 * MIB), ("available", "MemAvailable", 2 * MIB),
            ("page_cache", "Cached", MIB // 4), ("buffers", "Buffers", MIB // 4), ("anonymous", "AnonPages", MIB),
            ("shmem", "Shmem", 0), ("slab_reclaimable", "SReclaimable", MIB // 2),
            ("slab_unreclaimable", "SUnreclaim", MIB), ("kernel_stacks", "KernelStack", MIB // 4),
            ("page_tables", "PageTables", MIB // 4), ("dirty", "Dirty", MIB // 4), ("writeback", "Writeback", 0),
            ("hugetlb", "Hugetlb", 0), ("swap_total", "SwapTotal", 0)):
        near(name, memory[name], before[theirs], after[theirs], slack)
    expect("16 MiB of tmpfs, 4 MiB of buffers", memory["shmem"] > 16 * MIB and memory["buffers"] >= 4 * MIB)
    expect("2 huge pages: %s" % memory, memory["hugetlb"] == memory["hugetlb_free"] == 4 * MIB)

# The picture of memory has the same sums, but the pages that CPUs keep free count as the kernel's
def in_map():
    sums, page_map = report["map"]["sum"], report["map"]
    for name, ours, slack in (
            ("free", memory["free"], 4 * MIB), ("anonymous", memory["anonymous"], MIB),
            ("page_cache", memory["page_cache"] + memory["buffers"], MIB // 2),
            # large allocations are counted as slab, and are none
            ("slab", memory["slab_reclaimable"] + memory["slab_unreclaimable"], 3 * MIB),
            ("hugetlb", memory["hugetlb"], 0), ("offline", memory["balloon"], 0)):
        near("map: " + name, sums[name], ours, ours, slack)
    near("map: all", sum(sums.values()), 256 * MIB, 256 * MIB, MIB)
    expect("map: unknown pages", sums.get("unknown", 0) == 0 and "is_sample" not in page_map)
    for kind in sums:
        expect("map: " + kind, sum(cell.get(kind, 0) for cell in page_map["cells"]) == sums[kind])
    starts = [int(cell["start"], 16) for cell in page_map["cells"]]
    expect("map: cells", starts == sorted(starts) and all(start % page_map["cell_size"] == 0 for start in starts))

def in_vmstat():
    counts = dict(line.split() for line in open("vmstat"))
    expect("a balloon of 20 MiB: %s" % memory.get("balloon"), memory["balloon"] == 20 * MIB)
    expect("balloon", (int(counts["balloon_inflate"]) - int(counts["balloon_deflate"])) * 4096 == 20 * MIB)
    expect("OOM kills", memory["oom_kills"] == int(counts["oom_kill"]) == 0)

def in_zoneinfo():
    def read(name):
        zones = re.findall(r"^Node (\d+), zone +(\w+)\n(?:.*\n)*?  pages free +(\d+)\n +boost +\d+\n +min +(\d+)\n"
                           r" +low +(\d+)\n +high +(\d+)\n(?:.*\n)*? +managed +(\d+)\n", text(name), re.M)
        return [zone for zone in zones if int(zone[6])]
    before, after = read("zoneinfo.before"), read("zoneinfo.after")
    expect("zones %s" % before, len(before) == len(after) == len(memory["zones"]) == 2)
    for zone, first, last in zip(memory["zones"], before, after):
        expect("names", (zone["node"], zone["name"]) == (int(first[0]), first[1]))
        for name, i, slack in (("free", 2, 3 * MIB), ("min", 3, 0), ("low", 4, 0), ("high", 5, 0), ("managed", 6, 0)):
            near("%s of %s" % (name, zone["name"]), zone[name], int(first[i]) * 4096, int(last[i]) * 4096, slack)
        expect("largest free block", 0 < zone["largest_free"] <= 4 * MIB)

def in_status():
    theirs = {int(pid): (name, int(rss) * 1024) for name, pid, rss in re.findall(
        r"^Name:\t(.*)\n(?:\w.*\n)*?Pid:\t(\d+)\n(?:\w.*\n)*?VmRSS:\t *(\d+) kB", text("status"), re.M)}
    ours = {process["pid"]: (process["name"], process["rss"]) for process in memory["processes"]}
    large = int(text("setup.out").split()[-1])
    expect("the process of 12 MiB is the largest: %s" % ours, memory["processes"][0]["pid"] == large)
    expect("it is large: %s" % ours, 12 * MIB < ours[large][1] < 40 * MIB)
    common = set(theirs) & set(ours)
    expect("the same processes: %s, %s" % (ours, theirs), len(common) >= 3)
    for pid in common:
        # since Linux 6.2 the guest leaves out what its CPUs have not added, less than 32 pages each
        slack = 0 if report["kernel"]["release"].startswith("6.1.") else 2 * 3 * 32 * 4096
        expect("process %d: %s, %s" % (pid, ours[pid], theirs[pid]),
               ours[pid][0] == theirs[pid][0] and abs(ours[pid][1] - theirs[pid][1]) <= slack)

def in_slabinfo():
    def read(name):
        return {line.split()[0]: (int(line.split()[14]) * int(line.split()[5]) * 4096, int(line.split()[2]), int(line.split()[3]))
                for line in open(name) if " : slabdata " in line and line[0] != "#"}
    before, after = read("slabinfo.before"), read("slabinfo.after")
    ours = memory["slabs"]
    expect("ten caches, the largest first", len(ours) == 10 and ours == sorted(ours, key=lambda c: -c["size"]))
    expect("the largest one", ours[0]["name"] in sorted(before, key=lambda name: before[name])[-2:])
    for cache in ours:
        low, high = before[cache["name"]], after[cache["name"]]
        near(cache["name"], cache["size"], low[0], high[0], 128 << 10)
        near(cache["name"] + " objects", cache["objects"], low[1], high[1], 32 + high[1] // 20)
        expect("size of objects", cache["object_size"] == low[2])

def in_modules():
    ours = {module["name"]: module for module in report["modules"]}
    theirs = {line.split()[0]: line.split() for line in open("modules")}
    expect("modules %s" % theirs, set(ours) == set(theirs))
    for name, words in theirs.items():
        expect("module %s: %s, %s" % (name, ours[name], words), ours[name]["size"] == int(words[1]))
        expect("taint of %s" % name, ours[name].get("taint", "") == (words[6][1:-1] if len(words) > 6 else ""))
    ids = {line.split()[0].replace("-", "_"): line.split()[1] for line in open("build-ids")}
    expect("build IDs", len(ids) > 5)
    for name, value in ids.items():
        expect("build ID of %s: %s" % (name, value), ours[name].get("build_id") == value)

def in_disks():
    ours = [(disk["name"], disk["size"], disk["in_flight"]) for disk in report["disks"]]
    theirs = [line.split() for line in open("blocks")]
    expect("disks %s, %s" % (ours, theirs),
           sorted(ours) == sorted((name, int(size) * 512, int(reads) + int(writes))
                                  for name, size, reads, writes in theirs if int(size)))
    expect("the disk", ("vda", 32 * MIB, 0) in ours)

def in_mounts():
    ours = sorted((mount["device"], mount["path"].replace(" ", "\\040"), mount["type"], mount.get("read_only", False))
                  for mount in report["mounts"])
    theirs = sorted((words[0], words[1], words[2], "ro" in words[3].split(","))
                    for words in (line.split() for line in open("mounts")))
    expect("mounts %s, %s" % (ours, theirs), ours == theirs and ("/dev/vda", "/m", "ext4", True) in ours)
    expect("nothing is frozen", not any(mount.get("frozen") for mount in report["mounts"]))

def in_ip():
    theirs = {name: (flags.split(","), mtu) for name, flags, mtu in
              re.findall(r"^\d+: (\w+): <(.*)> mtu (\d+)", text("ip"), re.M)}
    ours = {interface["name"]: interface for interface in report["interfaces"]}
    expect("interfaces %s, %s" % (ours, theirs), set(ours) == set(theirs) and {"lo", "dummy7"} <= set(ours))
    for name, (flags, mtu) in theirs.items():
        expect("%s: %s" % (name, ours[name]), ours[name]["up"] == ("UP" in flags) and ours[name]["mtu"] == int(mtu))
    expect("addresses", ours["dummy7"]["address"] == "10.1.2.3/24" and ours["lo"]["address"] == "127.0.0.1/8")
    expect("timeouts", ours["dummy7"]["tx_timeouts"] == 0)

for check in (in_meminfo, in_map, in_vmstat, in_zoneinfo, in_status, in_slabinfo, in_modules, in_disks, in_mounts, in_ip):
    check()
expect("no problems: %s" % report["problems"], not report["problems"])
sys.exit(bool(bad))
PYTHON

# A list that is broken is a problem of its section, and leads to no verdict
guest_console 'grep " slab_caches$" /proc/kallsyms' >symbol
"$GUESTDUMP" dump -q -f elf "$guest_source" vm.elf
python3 - <<'PYTHON' || fail "cannot break the list: $(cat symbol)"
import re
import struct

elf = open("vm.elf", "r+b")
head = elf.read(1 << 20)
start, num = struct.unpack_from("<Q", head, 32)[0], struct.unpack_from("<H", head, 56)[0]
base = int(re.search(rb"NUMBER\(phys_base\)=(-?\d+)", head)[1])
paddr = int(open("symbol").read().split()[0], 16) - 0xffffffff80000000 + base
for i in range(num):
    kind, flags, offset, vaddr, at, size = struct.unpack_from("<IIQQQQ", head, start + 56 * i)
    if kind == 1 and at <= paddr < at + size:
        elf.seek(offset + paddr - at)
        elf.write(b"\1" * 8)
        break
else:
    raise SystemExit("0x%x is in no segment" % paddr)
PYTHON
"$GUESTDUMP" report vm.elf >broken.txt
rm vm.elf
grep -q '^  memory: the list of slab caches breaks off$' broken.txt || fail "no problem: $(cat broken.txt)"
sed -n 1p broken.txt | grep -qx -e '-- nothing unusual found' || fail "$(cat broken.txt)"

# A disk that takes a second for each request. Only the guest's own counts before and after say that something
# is in flight at all, and a request may be as young as a tick: look until there is one that has an age
"$guest" hmp "$guest_dir" 'block_set_io_throttle virtio0 0 0 0 1 0 0' >throttle.out
guest_console 'for i in 8 12 16 20 24; do dd if=/dev/vda of=/dev/null bs=1M skip=$i count=4 >/dev/null 2>&1 & done' >dd.out
in_flight() {
	guest_console 'cat /sys/block/vda/inflight' >before
	guestdump_json report --json -s disks "$guest_source" >disks.json
	"$GUESTDUMP" report -s disks,mounts,interfaces,modules "$guest_source" >report.txt
	guest_console 'cat /sys/block/vda/inflight' >after
	python3 - <<-'PYTHON'
		import json
		import sys

		disk, = (disk for disk in json.load(open("disks.json"))["disks"] if disk["name"] == "vda")
		before, after = (sum(int(word) for word in open(name).read().split()) for name in ("before", "after"))
		sys.exit(not (before and after and 0 < disk["in_flight"] <= 64 and 0 < disk["oldest_seconds"] < 600))
	PYTHON
}
deadline=$((SECONDS + 120))
until in_flight; do
	[ $SECONDS -lt $deadline ] || fail "requests are not in flight: $(cat disks.json before after)"
	sleep 1
done
for heading in Disks Mounts 'Network interfaces' Modules; do
	grep -qx "$heading" report.txt || fail "no $heading: $(cat report.txt)"
done
