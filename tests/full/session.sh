#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/session.sh - what crash and drgn say of tasks, stacks, modules, slabs, the log,
# files and mounts is the same with all memory and at dump level 31; and they open the dump
# of a guest with KASLR, which told nobody where its VMCOREINFO is, without any option
# test: session 1800
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/../peer/guest.bash"
requires_full
requires /usr/bin/python3

lacks() {
	[ "$1" = 3 ] && skip "$2 is not to be had here"
	fail "scripts/guest: $2"
}
crash=$("$guest" crash) || lacks $? "crash for this kernel"
vmlinux=$("$guest" debug x86_64) || lacks $? "this kernel's debugging data"

tmpdir
mkdir -p "$tmp/add/bin"
gcc -static -O1 -o "$tmp/add/bin/workload" "$root/tests/guest/workload.c"
start_guest vm --mem 512M --no-vmcoreinfo --add "$tmp/add"
cd "$tmp"
release=$(guest_console uname -r)
guest_console 'mkdir -p /a/b; mount -t tmpfs some-files /a/b; cp /init /a/b; sleep 999 <>/a/b/init >/dev/null &
	echo started' >started
GUEST_TIMEOUT=300 guest_console workload /tmp >workload.out
"$guest" qmp "$guest_dir" stop >stop.out
"$GUESTDUMP" dump -q "$guest_source" whole.kdump
"$GUESTDUMP" dump -q -E "$guest_source" whole.elf
"$GUESTDUMP" dump --progress plain -d 31 "$guest_source" level31.kdump 2>dump.out
"$GUESTDUMP" dump -q -E -d 31 "$guest_source" level31.elf
sed -n '/keeping [0-9]* pages/p' dump.out
grep -qE ' [0-9]{5,} free .*, [0-9]{4,} user .*, [0-9]{4,} cache ' dump.out || fail "not filtered: $(cat dump.out)"
offset=$(grep -a -o -m1 '^KERNELOFFSET=.*' whole.elf)
echo "$release, $offset"
[ "$offset" != KERNELOFFSET=0 ] || fail "the guest has no KASLR"

cat >commands <<-'COMMANDS'
	sys
	ps
	ps -m
	ps -G init
	foreach bt
	runq
	mod
	log
	kmem -i
	kmem -s
	kmem -S kmalloc-64
	kmem -v
	kmem -V
	kmem -z
	mount
	mount -f
	foreach files
	foreach task -R files,fs,signal
	foreach sig
	foreach vm
	net
	dev
	irq
	timer
	swap
	ipcs
	waitq
	quit
COMMANDS

# crash_session DUMP
crash_session() {
	HOME=$tmp TERM=dumb "$crash" --no_scroll -s -i commands "$vmlinux" "$1" </dev/null >"$1.crash.all" 2>&1 ||
		fail "crash $1: $(tail "$1.crash.all")"
	# but for the name of the dump
	grep -v '^ *DUMPFILE: ' "$1.crash.all" >"$1.crash" || true
}

# drgn_session DUMP
drgn_session() {
	/usr/bin/python3 - "$1" "$vmlinux" >"$1.drgn" 2>"$1.drgn.err" <<-'PYTHON' ||
		import sys
		import drgn
		from drgn.helpers.linux import (for_each_file, for_each_mount, for_each_slab_cache,
		    for_each_task, get_dmesg, mount_dst, mount_fstype, mount_src,
		    slab_cache_for_each_allocated_object, d_path)
		from drgn.helpers.linux.list import list_for_each_entry
		path, vmlinux = sys.argv[1:]
		prog = drgn.Program()
		prog.set_core_dump(path)
		prog.load_debug_info([vmlinux])
		for task in for_each_task(prog):
		    print("task", task.pid.value_(), task.comm.string_(), task.cred.uid.val.value_())
		    try:
		        print(prog.stack_trace(task))
		    except (LookupError, ValueError) as error:
		        print(error)
		    if task.files:
		        for fd, file in for_each_file(task):
		            print("file", fd, d_path(file.f_path))
		for module in list_for_each_entry("struct module", prog["modules"].address_of_(), "list"):
		    print("module", module.name.string_(), module.core_layout.size.value_())
		for mount in for_each_mount(prog["init_task"].nsproxy.mnt_ns):
		    print("mount", mount_src(mount), mount_dst(mount), mount_fstype(mount))
		for cache in for_each_slab_cache(prog):
		    print("slab", cache.name.string_(), cache.size.value_())
		for name in ("dentry", "task_struct", "filp"):
		    for cache in for_each_slab_cache(prog):
		        if cache.name.string_().decode() == name:
		            objects = list(slab_cache_for_each_allocated_object(cache, "struct " + {"filp": "file"}.get(name, name)))
		            print("objects", name, len(objects), hash(str(objects[:1])) and 1)
		            for obj in objects:
		                prog.read(obj, 64)
		sys.stdout.buffer.write(get_dmesg(prog))
	PYTHON
		fail "drgn $1: $(tail -n 3 "$1.drgn.err")"
}

# same PROGRAM: its sessions have said the same.  Of ELF files drgn takes an address in low
# memory that some stacks end with for a virtual one, so they are compared with ELF files.
same() {
	local format
	for format in kdump elf; do
		diff whole.$format."$1" level31.$format."$1" >"$1.diff" ||
			fail "$1: level31.$format is not like all of the memory: $(head -n 20 "$1.diff")"
	done
	echo "$1: $(wc -l <whole.kdump."$1") lines, the same at level 31"
}

for dump in whole.kdump whole.elf level31.kdump level31.elf; do crash_session $dump; done
grep -q "RELEASE: $release\$" whole.kdump.crash || fail "crash: another kernel"
grep -q 'some-files' whole.kdump.crash || fail "crash: no such mount"
grep -q '/a/b/init' whole.kdump.crash || fail "crash: no such file"
[ "$(grep -c '^PID: ' whole.kdump.crash)" -gt 200 ] || fail "crash: no stacks"
same crash

/usr/bin/python3 -c 'import drgn' 2>/dev/null || { echo "left out: drgn (needs python3-drgn)"; exit 0; }
for dump in whole.kdump whole.elf level31.kdump level31.elf; do drgn_session $dump; done
grep -q "mount b'some-files' b'/a/b' b'tmpfs'" whole.kdump.drgn || fail "drgn: no such mount"
grep -q "file .* b'/a/b/init'" whole.kdump.drgn || fail "drgn: no such file"
grep -q '^objects dentry [1-9][0-9][0-9][0-9]' whole.kdump.drgn || fail "drgn: no slab objects"
same drgn
