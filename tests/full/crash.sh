#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/crash.sh - crash, and drgn with the kernel's debugging data, see the tasks,
# stacks, modules and files of a guest in our dumps
# test: crash 1800
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/../peer/guest.bash"
requires_full

lacks() {
	[ "$1" = 3 ] && skip "$2 is not to be had here"
	fail "scripts/guest: $2"
}
crash=$("$guest" crash) || lacks $? "crash for this kernel"
vmlinux=$("$guest" debug x86_64) || lacks $? "this kernel's debugging data"

dump_a_guest --mem 512M

# Of tasks there are a few more or less at each moment. The shell, ls and wc are not in the
# dump; crash counts the two idle tasks.
"$guest" qmp "$guest_dir" cont >cont.out
tasks=$(guest_console 'ls -d /proc/[0-9]*/task/[0-9]* | wc -l')
tasks=$((tasks - 3))
# the same of a guest that goes on
"$GUESTDUMP" dump --live -q -E "$guest_source" live.elf
"$GUESTDUMP" dump --live -q -d 31 "$guest_source" live.kdump
dumps+=(live.elf live.kdump)

about() { [ $((tasks - $1)) -lt 6 ] && [ $(($1 - tasks)) -lt 6 ]; }

for dump in "${dumps[@]}"; do
	cat >commands <<-'COMMANDS'
		sys >sys
		ps >ps
		bt -a >bt
		log >log.crash
		mod >mod
		set 1
		files >files
		quit
	COMMANDS
	rm -f sys ps bt log.crash mod files
	HOME=$tmp TERM=dumb "$crash" --no_scroll -s -i commands "$vmlinux" "$dump" </dev/null >crash.out 2>&1 ||
		fail "crash $dump: $(tail crash.out)"
	! grep -E '^(crash|gdb|WARNING): ' crash.out sys ps bt mod files || fail "crash $dump: see above"

	cat sys
	grep -q "RELEASE: $release\$" sys || fail "crash $dump: another kernel"
	grep -q 'CPUS: 2$' sys || fail "crash $dump: not 2 CPUs"
	count=$(sed -n 's/^ *TASKS: //p' sys)
	about $((count - 2)) || fail "crash $dump: $count tasks, the guest has $tasks and 2 idle ones"
	[ "$(grep -c '^[> ] *[0-9]' ps)" = "$count" ] || fail "crash $dump: ps: $(cat ps)"
	grep -q ' init$' ps || fail "crash $dump: ps does not show init"
	# each CPU's stack ends where such stacks begin
	cat bt
	[ "$(grep -c '^PID: ' bt)" = 2 ] || fail "crash $dump: not 2 stacks"
	[ "$(grep -c '^ *#[0-9]* .* \(secondary_startup_64\|ret_from_fork\|entry_SYSCALL_64\|asm_\)' bt)" -ge 2 ] ||
		fail "crash $dump: a stack has no end"
	same_log log.crash
	grep -q qemu_fw_cfg mod || fail "crash $dump: mod: $(cat mod)"
	grep -q '^ROOT: / *CWD: /' files || fail "crash $dump: files: $(cat files)"
done

if ! /usr/bin/python3 -c 'import drgn' 2>/dev/null; then
	echo "left out: drgn (needs python3-drgn)"
	exit 0
fi
for dump in "${dumps[@]}"; do
	/usr/bin/python3 - "$dump" "$vmlinux" >drgn.out <<-'PYTHON' || fail "drgn $dump: see above"
		import sys
		import drgn
		from drgn.helpers.linux.pid import find_task, for_each_task
		path, vmlinux = sys.argv[1:]
		prog = drgn.Program()
		prog.set_core_dump(path)
		prog.load_debug_info([vmlinux])
		tasks = list(for_each_task(prog))
		if find_task(prog, 1).comm.string_() != b"init":
		    sys.exit("task 1 is not init")
		# not of 1 or 2, which drgn takes for the CPUs that have these numbers in QEMU's notes
		stack = str(prog.stack_trace(find_task(prog, 3)))
		if " kthread " not in stack or " ret_from_fork+" not in stack:
		    sys.exit("the stack of task 3 is %s" % stack)
		print(len(tasks))
	PYTHON
	count=$(cat drgn.out)
	about "$count" || fail "drgn $dump: $count tasks, the guest has $tasks"
	echo "$dump: drgn lists $count tasks"
done
