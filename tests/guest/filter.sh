#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/filter.sh - dump levels leave out what makedumpfile leaves out, of a guest
# that tells nobody where its VMCOREINFO is; its log; --dry-run and -d A,B
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/../peer/guest.bash"

requires makedumpfile /usr/bin/python3
start_guest vm --mem 512M --no-vmcoreinfo
cd "$tmp"
release=$(guest_console uname -r)
uts_address=$(guest_console grep "' init_uts_ns$'" /proc/kallsyms | cut -d' ' -f1)
# files in a tmpfs, and memory that was in use and is free again
guest_console 'head -c 8388608 /dev/urandom >/tmp/filled
	head -c 4194304 /dev/urandom >/tmp/gone; rm /tmp/gone' >workload.out
guest_console dmesg >log
"$GUESTDUMP" dmesg "$guest_source" >live.log
same_log live.log
[ "$(guest_status)" = running ] || fail "dmesg leaves the guest $(guest_status)"
"$guest" qmp "$guest_dir" stop >stop.out
"$GUESTDUMP" dump -q -E "$guest_source" vm.elf

# theirs FILE: how many pages makedumpfile said it left out: cache, private, user, free
theirs() {
	tr '\r' '\n' <"$1" | sed -n '
		s/^ *Non-private cache pages *: /cache /p
		s/^ *Private cache pages *: /private /p
		s/^ *User process data pages *: /user /p
		s/^ *Free pages *: /free /p' |
		while read -r name number; do echo "$name $((number))"; done | sort
}

# ours FILE: the same, by guestdump
ours() {
	local line name
	line=$(grep 'keeping [0-9]* pages' "$1") || fail "no line of pages: $(cat "$1")"
	line=${line#*;}
	line=${line/ private cache/ private}
	for name in cache free private user; do
		[[ $line =~ \ ([0-9]+)\ $name\ \( ]] && echo "$name ${BASH_REMATCH[1]}" || echo "$name 0"
	done
}

for level in 1 2 4 8 16 31; do
	"$GUESTDUMP" dump --no-metadata --progress plain -d $level "$guest_source" ours.$level 2>ours.out
	makedumpfile --message-level 31 -c -d $level vm.elf theirs.$level >theirs.out 2>&1 ||
		fail "makedumpfile -d $level: $(tail -n 5 theirs.out | tr '\r' '\n')"
	ours ours.out >ours.count
	theirs theirs.out >theirs.count
	cmp ours.count theirs.count || fail "level $level: $(paste ours.count theirs.count)"
	echo "level $level: $(tr '\n' ' ' <ours.count)left out by both; $(stat -c %s ours.$level) and $(stat -c %s theirs.$level) bytes"
done
grep -qx 'cache [1-9][0-9]\{3,\}' ours.count || fail "there was no page cache to leave out"
grep -qx 'user [1-9][0-9]*' ours.count || fail "there were no user's pages to leave out"

# Filtered again
"$GUESTDUMP" convert -q -d 31 ours.16 again.31
"$GUESTDUMP" convert -q -d 31 vm.elf converted.31
"$GUESTDUMP" dump -q --no-metadata -j 1 -d 31 "$guest_source" one.31
cmp ours.31 one.31 || fail "one thread leaves out something else"

# Which pages, and that what is kept is what it was
PYTHONPATH=$root/tests/tools PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 - <<'PYTHON' ||
import sys
import dumpcmp

def left_out(dump):
    return dumpcmp.subtract(dump.ram, dump.pages)

bad = 0
dumps = {name: dumpcmp.Kdump(name) for name in
         ("ours.31", "again.31", "converted.31", "ours.16", "theirs.16", "theirs.31")}
for name, other in (("ours.16", "theirs.16"), ("ours.31", "theirs.31"),
                    ("again.31", "theirs.31"), ("converted.31", "theirs.31")):
    a, b = left_out(dumps[name]), left_out(dumps[other])
    more, less = dumpcmp.subtract(a, b), dumpcmp.subtract(b, a)
    if more or less:
        print("%s lacks %s, %s lacks %s" % (name, dumpcmp.text(more), other, dumpcmp.text(less)))
        bad = 1
    print("%s: %d pages are left out" % (name, sum(end - start for start, end in a)))
whole = dumpcmp.Elf("vm.elf")
for paddr, size, off, _ in whole.head.loads:
    for done in range(0, size, 1 << 20):
        data = whole.pread(off + done, min(1 << 20, size - done))
        for name in ("ours.31", "again.31", "converted.31"):
            at = dumps[name].differs(paddr + done, data)
            if at is not None:
                print("%s differs from 0x%x on" % (name, at))
                bad = 1
sys.exit(bad)
PYTHON
	fail "not the same pages"

# The log, from everything that has it
makedumpfile --dump-dmesg vm.elf makedumpfile.log >makedumpfile.out 2>&1 ||
	fail "$(tail -n 5 makedumpfile.out)"
for dump in "$guest_source" vm.elf ours.31 theirs.31 again.31; do
	"$GUESTDUMP" dmesg "$dump" >our.log
	cmp our.log makedumpfile.log || fail "$dump: the log is not that of makedumpfile"
done
same_log our.log
makedumpfile --dump-dmesg ours.31 theirs.log >makedumpfile.out 2>&1 ||
	fail "$(tail -n 5 makedumpfile.out)"
cmp our.log theirs.log || fail "makedumpfile finds another log in our dump"
makedumpfile -c -d 31 ours.31 refiltered >makedumpfile.out 2>&1 ||
	fail "makedumpfile ours.31: $(tail -n 5 makedumpfile.out)"
"$GUESTDUMP" verify -q ours.31 again.31 refiltered >verify.out || fail "$(cat verify.out)"
if /usr/bin/python3 -c 'import drgn' 2>/dev/null; then
	# memory that an ELF file lacks is in the middle of the kernel's image as well
	"$GUESTDUMP" convert -q -E -d 31 vm.elf elf.31
	for dump in ours.31 elf.31; do
		/usr/bin/python3 - $dump "$release" "$uts_address" <<-'PYTHON' || fail "drgn $dump: see above"
			import sys
			import drgn
			prog = drgn.Program()
			prog.set_core_dump(sys.argv[1])
			if prog["UTS_RELEASE"].string_().decode() != sys.argv[2]:
			    sys.exit("the kernel is %s" % prog["UTS_RELEASE"])
			if sys.argv[2].encode() not in prog.read(int(sys.argv[3], 16), 512):
			    sys.exit("init_uts_ns has another release")
		PYTHON
	done
	echo "drgn: $release"
fi

# A part of the memory, without the page structures: the same pages as a part of the whole dump
part=(--begin 16M --length 64M)
"$GUESTDUMP" dump -q -d 31 "$guest_source" whole.kdump
"$GUESTDUMP" convert -q -C none "${part[@]}" whole.kdump part.kdump
for way in direct indirect file; do
	case $way in
	direct) "$GUESTDUMP" dump -q -C none -d 31 "${part[@]}" "$guest_source" $way.kdump ;;
	indirect) "$GUESTDUMP" dump -q -C none -d 31 --no-direct "${part[@]}" "$guest_source" $way.kdump ;;
	file) "$GUESTDUMP" convert -q -C none -d 31 "${part[@]}" vm.elf $way.kdump ;;
	esac || fail "$way: a part with a level: exit status $?"
	for file in part $way; do
		"$GUESTDUMP" convert -q -f raw --no-metadata --force $file.kdump $file.raw
		"$GUESTDUMP" verify $file.kdump | sed 's/^.*: OK: //' >$file.verified
	done
	cmp part.raw $way.raw || fail "$way: a part with a level has other pages"
	cmp part.verified $way.verified || fail "$way: $(cat part.verified $way.verified)"
	rm -f part.raw $way.raw $way.kdump
done

# The estimate: in bytes, of our own words
for level in 1 16 31; do
	"$GUESTDUMP" dump --dry-run -d $level "$guest_source" >dry.out 2>dry.err
	guestdump_json dump --dry-run -E -d $level --json "$guest_source" >dry.json 2>events.json
	valid_json events.json
	grep '"type":"plan"' events.json >plan.json
	/usr/bin/python3 - "$(stat -c %s ours.$level)" <<-'PYTHON' || fail "level $level: $(cat dry.out)"
		import re
		import sys
		number, unit = re.search(r"about ([0-9.]+) (bytes|[KMG]iB)", open("dry.out").read()).groups()
		about = float(number) * {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
		sys.exit(not 1 / 1.5 < about / int(sys.argv[1]) < 1.5)
	PYTHON
	/usr/bin/python3 - <<-'PYTHON' || fail "level $level: $(cat plan.json dry.json)"
		import json
		plan = json.load(open("plan.json"))["page_kinds"]
		estimate = json.load(open("dry.json"))
		for kind in plan.values():
		    assert kind["bytes"] == 4096 * kind["pages"]
		assert sum(kind["pages"] for kind in plan.values()) == estimate["pages"]
		assert plan["kept"]["pages"] == estimate["kept"]
		line = open("dry.err").read()
		assert all("%d %s (" % (plan[name]["pages"], name) in line
		           for name in ("free", "user", "cache") if plan[name]["pages"]), line
	PYTHON
	# what is announced for a kdump is what is in it: no firmware
	guestdump_json info --json ours.$level >info.json
	/usr/bin/python3 - <<-'PYTHON' || fail "level $level: $(cat dry.out)"
		import json
		info = json.load(open("info.json"))
		kept = int(open("dry.out").read().split()[0])
		assert kept == info["pages"] - info["omitted"], (kept, info["pages"], info["omitted"])
	PYTHON
	echo "level $level: $(cat dry.out)"
done

# The same by info, with the guest running, and from a file
guestdump_json info --json --pages vm.elf >info.json
"$GUESTDUMP" info --pages "$guest_source" | sed -n 's/^  *\([0-9][0-9]*\) .*iB  \(free\|user\|cache\)$/\2 \1/p' |
	sort >info.count
grep -v ' 0$' ours.count | grep -v private | cmp - info.count || fail "info --pages: $(cat info.count)"
/usr/bin/python3 - <<-'PYTHON' || fail "info --json --pages: see above"
	import json
	info, plan = json.load(open("info.json")), json.load(open("plan.json"))["page_kinds"]
	assert not info["page_kinds_warning"]
	assert {k: v["pages"] for k, v in info["page_kinds"].items()} == {k: v["pages"] for k, v in plan.items()}
PYTHON

# One level after the other until it fits
mkdir small
if mount -t tmpfs -o "size=$((($(stat -c %s ours.1) + $(stat -c %s ours.31)) / 2))" none small 2>mount.err; then
	cleanup_fn umount "$tmp/small"
	"$GUESTDUMP" dump --no-metadata --progress plain -d 1,31 "$guest_source" small/dump 2>small.err ||
		fail "-d 1,31: $(cat small.err)"
	grep -q 'trying level 31' small.err || fail "level 31 was not tried: $(cat small.err)"
	cmp small/dump ours.31 || fail "-d 1,31 is not the dump of level 31"
	[ "$(ls small)" = dump ] || fail "-d 1,31 leaves $(ls small)"
	[ "$(guest_status)" = paused ] || fail "the guest that stood still is $(guest_status)"
else
	echo "no tmpfs can be mounted here: -d 1,31 is not tested"
fi
