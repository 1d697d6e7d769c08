#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/report.sh CASE [ARCH] - the report of a guest that hangs names the cause, and that of a
# healthy guest has none
#
# test: report-healthy 300 healthy
# test: report-deadlock 300 deadlock
# test: report-panic 300 panic
# test: report-oops 300 oops
# test: report-memory 300 memory
# test: report-frozen 300 frozen
# test: report-disk 300 disk
# test: report-request 300 --full request
# test: report-locks 300 locks
# test: report-nfs 300 --full nfs
# test: report-rcu 300 --full rcu
# test: report-work 300 --full work
# test: report-tasks 300 tasks
# test: report-pressure 300 pressure
# test: report-crash-kernel 600 crash_kernel
# test: report-soft 300 soft
# test: report-hard 300 hard
# test: report-firmware 300 firmware
# test: report-healthy-next 300 healthy x86_64@trixie
# test: report-panic-next 300 panic x86_64@trixie
# test: report-healthy-aarch64 600 healthy aarch64@trixie
# test: report-panic-aarch64 600 panic aarch64@trixie
# test: report-exported 600 exported aarch64@bookworm
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ "${1:-}" != --full ] || { requires_full; shift; }
arch=${2:-x86_64}
[ "$arch" = x86_64 ] || requires_full
tmpdir
cd "$tmp"

# boot: a guest that has the module
boot() {
	local status=0
	mkdir -p tree
	"$guest" module "$arch" "$root/tests/guest/hang.c" "$tmp/module" >module.out 2>module.err || status=$?
	[ $status = 0 ] || skip "cannot build a module for the guest: $(cat module.err)"
	cp "$(cat module.out)" tree/hang.ko
	start_guest vm --arch "$arch" --add "$tmp/tree"
	guest_console 'insmod /hang.ko' >insmod.out
}

# report [OPTION...]: writes report.txt
report() {
	"$GUESTDUMP" report "$@" "$guest_source" >report.txt || fail "report fails"
	[ "$(guest_status)" = running ] || fail "report leaves the guest $(guest_status)"
}

# verdicts PATTERN...: report.txt has just these lines
verdicts() {
	local pattern n=0
	grep -E '^(!!|--) ' report.txt >verdicts.txt || true
	for pattern; do
		n=$((n + 1))
		sed -n "${n}p" verdicts.txt | grep -qE "^(!!|--) $pattern" ||
			fail "verdict $n is not '$pattern': $(cat report.txt)"
	done
	[ "$(wc -l <verdicts.txt)" = $n ] || fail "more than $n verdicts: $(cat report.txt)"
}

# until PATTERN SECONDS: report.txt has that line
until_report() {
	local end=$((SECONDS + $2))
	until report && grep -qE "$1" report.txt; do
		[ $SECONDS -lt $end ] || fail "no '$1': $(cat report.txt)"
		sleep 1
	done
}

case_healthy() {
	local i command
	start_guest vm --arch "$arch"
	# processes cannot fake what the kernel says
	guest_console 'echo "BUG: unable to handle" >/dev/kmsg; echo "Kernel panic - not syncing: no" >/dev/kmsg' >kmsg.out
	report
	verdicts 'nothing unusual found$'
	grep -q '^CPUs$' report.txt || fail "no section of the CPUs: $(cat report.txt)"
	# under load
	# shellcheck disable=SC2016 # for the guest's shell
	guest_console 'for i in 1 2 3 4; do while :; do dd if=/dev/zero of=/tmp/x$i bs=64k count=200 2>/dev/null;
		sync; ls -lR /proc/[0-9]* /sys >/dev/null 2>&1; done & done' >load.out
	for ((i = 0; i < 10; i++)); do
		report
		verdicts 'nothing unusual found$'
		report --pause
		verdicts 'nothing unusual found$'
	done
	# what does not change is read before the guest is paused
	for command in report "stacks -a"; do
		# shellcheck disable=SC2086 # an option
		"$GUESTDUMP" $command --pause -v "$guest_source" 2>verbose >/dev/null || fail "$(cat verbose)"
		sed -n '/the guest is not running/,$p' verbose >since
		grep -q 'the guest is resumed after' since || fail "$command --pause: no pause: $(cat verbose)"
		! grep -q ' symbols in its memory' since || fail "$command --pause: a long pause: $(cat verbose)"
	done
	guestdump_json report --all --pause --json "$guest_source" >report.json
	guestdump_json report --json --section log,verdict "$guest_source" >few.json
	python3 - <<-'PYTHON' || fail "not as above"
		import json
		report, few = json.load(open("report.json")), json.load(open("few.json"))
		assert report["verdict"] == [{"what": "nothing", "text": "nothing unusual found"}], report["verdict"]
		assert len(report["cpus"]) == 2 and all(cpu["task"] for cpu in report["cpus"]), report["cpus"]
		assert all(int(cpu["registers"].get("rsp") or cpu["registers"]["sp"], 16) for cpu in report["cpus"])
		assert len(report["blocked"]) > 30, len(report["blocked"])
		assert not report["problems"], report["problems"]
		assert set(few) == {"schema", "type", "input", "verdict", "log", "problems"}, set(few)
	PYTHON
}

case_deadlock() {
	local file
	boot
	guest_console 'echo mutex >/proc/hang; echo rwsem >/proc/hang' >hang.out
	until_report '^!! [0-9]+ tasks are blocked' 60
	verdicts 'DEADLOCK: hang-(ab|ba) \([0-9]+\) -> hang-(ab|ba) \([0-9]+\) -> hang-(ab|ba) \([0-9]+\)$' \
		'[0-9] tasks are blocked for more than 10 s, the longest for [0-9]+ s$'
	grep -A2 '^!! DEADLOCK' report.txt | grep -q '^     hang-ab ([0-9]*) is in state D and waits for the mutex hang_b \[hang\] at 0x[0-9a-f]*, which hang-ba ' ||
		fail "no such proof: $(cat report.txt)"
	grep -A1 '^  hang-reader ' report.txt | grep -q 'waits for the rwsem, to read,.*held by hang-holder (' ||
		fail "no holder of the rwsem: $(cat report.txt)"
	# of a dump it is the same, also of a filtered one
	"$guest" qmp "$guest_dir" stop >stop.out
	"$GUESTDUMP" report -a "$guest_source" >paused.txt
	"$GUESTDUMP" dump -q -d 31 "$guest_source" kdump
	"$GUESTDUMP" dump -q -E "$guest_source" elf
	for file in kdump elf; do
		"$GUESTDUMP" report -a $file | diff paused.txt - >diff.out || fail "$file: $(cat diff.out)"
	done
}

# send COMMAND: to the guest, which may not answer
send() {
	"$guest" console "$guest_dir" "$1" >send.out 2>&1 &
	local asked=$!
	cleanup_fn kill "$asked" 2>/dev/null
}

case_panic() {
	start_guest vm --arch "$arch" --append panic=0
	send 'echo c >/proc/sysrq-trigger'
	until_report '^!! panicked' 60
	# the registers may be of the moment before
	report
	verdicts 'panicked on CPU [01]: sysrq triggered crash$'
	grep -q 'sysrq_handle_crash' report.txt || fail "no stack of the panic: $(cat report.txt)"
	guestdump_json report --json "$guest_source" >report.json
	grep -q '"signature":"[0-9a-f]\{16\}"' report.json || fail "no signature: $(cat report.json)"
}

case_oops() {
	boot
	send 'echo oops >/proc/hang'
	until_report '^!! the kernel has reported a bug' 60
	verdicts 'the kernel has reported a bug in itself, '
	grep -A1 '^!!' report.txt | grep -q '^     BUG: kernel NULL pointer dereference' || fail "no proof: $(cat report.txt)"
}

case_memory() {
	start_guest vm --arch "$arch" --mem 256M
	send 'tail /dev/zero'
	until_report '^!! out of memory' 100
	verdicts 'out of memory: the kernel has killed processes, 1 time, '
	grep -A1 '^!!' report.txt | grep -q 'Killed process [0-9]* (tail)' || fail "not the process: $(cat report.txt)"
}

# waits NAME PATTERN: the blocked task NAME waits for that
waits() {
	grep -A1 "^  $1 (" report.txt | grep -qE "^    waits for $2" || fail "$1 does not wait for $2: $(cat report.txt)"
}

case_locks() {
	boot
	guest_console 'echo locks >/proc/hang' >hang.out
	until_report '^!! [0-9]+ tasks are blocked' 60
	until_report '^  hang-pc-writer ' 10
	waits hang-rt-waiter 'the rt_mutex hang_rt_mutex \[hang\], held by hang-rt-holder \([0-9]+\)$'
	waits hang-rt-holder 'a completion hang_done \[hang\]$'
	waits hang-down 'the semaphore hang_semaphore \[hang\]$'
	waits hang-pc-reader 'the percpu_rwsem, to read, hang_written \[hang\]$'
	waits hang-pc-writer 'the percpu_rwsem, to write, hang_read \[hang\]$'
}

# A server whose address nobody has: a dummy interface swallows what is sent
case_nfs() {
	local module
	"$guest" modules "$arch" nfs nfsv4 dummy >module.list || skip "no modules for the guest"
	mkdir tree
	while read -r module; do
		cp "$module" tree
		echo "insmod /${module##*/}"
	done <module.list >load
	mv load tree
	start_guest vm --arch "$arch" --add "$tmp/tree"
	guest_console 'sh /load; ip link add d0 type dummy; ip addr add 10.1.2.3/24 dev d0; ip link set d0 up; mkdir /nfs
		mount -t nfs -o vers=4.1,addr=10.1.2.4,clientaddr=10.1.2.3,hard 10.1.2.4:/x /nfs </dev/null >/dev/null 2>&1 &' >mount.out
	until_report '^!! 1 task waits for the NFS server' 100
	verdicts '1 task waits for the NFS server 10\.1\.2\.4, the longest for [0-9]+ s$' '1 task is blocked '
	waits mount 'the NFS server 10\.1\.2\.4$'
}

# boot_with_disk DRIVE: a guest with a file system; "sh /load" mounts it
boot_with_disk() {
	local module
	requires mkfs.ext4
	truncate -s 32M disk
	mkfs.ext4 -q disk
	"$guest" modules "$arch" crc32c_generic ext4 virtio_blk virtio_pci >module.list || skip "no modules for the guest"
	mkdir tree
	{
		while read -r module; do
			cp "$module" tree
			echo "insmod /${module##*/}"
		done <module.list
		echo 'mkdir /mnt; mount -t ext4 /dev/vda /mnt'
	} >tree/load
	start_guest vm --arch "$arch" --add "$tmp/tree" -- -drive "$1,format=raw,if=virtio"
}

# A process writes to a file system that is frozen
case_frozen() {
	boot_with_disk file=disk
	guest_console 'sh /load && fsfreeze --freeze /mnt' >mount.out || fail "$(cat mount.out)"
	guest_console 'sh -c "printf writer >/proc/self/comm; : >/mnt/x" >/dev/null 2>&1 &' >writer.out
	until_report '^!! 1 task is blocked' 60
	verdicts '1 task is blocked for more than 10 s, the longest for [0-9]+ s$'
	grep -A1 '^  writer .*state D' report.txt |
		grep -q 'waits for the percpu_rwsem, to read, s_writers of vda (ext4), which is frozen' ||
		fail "not the file system: $(cat report.txt)"
}

# QEMU pauses the guest when the disk fails
case_disk() {
	local i
	printf '[inject-error]\nevent = "write_aio"\nerrno = "5"\n' >rules
	boot_with_disk file=blkdebug:rules:disk,werror=stop
	send 'sh /load; : >/mnt/x; sync'
	for ((i = 0; i < 300; i++)); do
		[ "$(guest_status)" != io-error ] || break
		sleep 0.1
	done
	"$GUESTDUMP" report "$guest_source" >report.txt || fail "report fails"
	sed -n 1p report.txt | grep -q '^!! the guest is paused: its disk has failed on the host$' || fail "$(cat report.txt)"
}

# A disk that needs more than the 30 s after which its requests time out; loading its driver reads it
case_request() {
	local module
	"$guest" modules "$arch" null_blk >module.list && [ -s module.list ] || skip "no module for the guest"
	mkdir tree
	while read -r module; do cp "$module" tree; done <module.list
	start_guest vm --arch "$arch" --add "$tmp/tree"
	guest_console 'insmod /configfs.ko; (insmod /null_blk.ko irqmode=2 completion_nsec=90000000000 </dev/null >/dev/null 2>&1 &)' >insmod.out
	until_report '^!! the disk nullb0' 100
	verdicts 'the disk nullb0 has not answered a request for [0-9]+ s$' '1 task is blocked '
	grep -A1 '^!! the disk' report.txt | grep -qE '^     1 request is in flight, and the oldest began [0-9]+ s ago$' ||
		fail "no proof: $(cat report.txt)"
	waits insmod "a page's lock or I/O, page 0 of nullb0$"
}

case_soft() {
	boot
	send 'echo soft >/proc/hang'
	until_report '^!! CPU 1 spins' 100
	# what follows from it comes later, and below
	sed -n 1p report.txt | grep -qE '^!! CPU 1 spins in the kernel for [0-9]+ s, in hang-soft \([0-9]+\)$' ||
		fail "$(cat report.txt)"
	! grep '^!! ' report.txt | grep -vE '^!! (CPU 1 spins|RCU: |a pool of workers of CPU 1 )' || fail "$(cat report.txt)"
	grep -q 'hang_soft+' report.txt || fail "no stack: $(cat report.txt)"
}

case_hard() {
	boot
	send 'echo hard >/proc/hang'
	until_report '^!! CPU 1 takes no interrupts' 100
	sed -n 1p report.txt | grep -q '^!! CPU 1 takes no interrupts for [0-9]* s, in hang-hard ([0-9]*)$' ||
		fail "$(cat report.txt)"
	grep -q 'CPU 1 .*, interrupts off' report.txt || fail "interrupts are on: $(cat report.txt)"
}

# A task sleeps in a read-side critical section
case_rcu() {
	boot
	guest_console 'echo rcu >/proc/hang' >hang.out
	until_report '^!! RCU: a grace period has not ended for [0-9]+ s$' 100
	verdicts 'RCU: ' '1 task is blocked '
	sed -n 3p report.txt | grep -qE '^     it waits for hang-rcu \([0-9]+\), which sleeps' || fail "$(cat report.txt)"
}

# A work does not end, and does not sleep
case_work() {
	boot
	send 'echo work >/proc/hang'
	until_report '^!! a pool of workers of CPU 1 has begun no work for [0-9]+ s, and work waits$' 100
	verdicts 'a pool of workers of CPU 1 '
	sed -n 2p report.txt | grep -qE '^     kworker/1:[0-9]+ \([0-9]+\) runs hang_work \[hang\]$' || fail "$(cat report.txt)"
	grep -q '^     hang_other_work \[hang\] waits$' report.txt || fail "$(cat report.txt)"
}

# A fork bomb
case_tasks() {
	start_guest vm --arch "$arch"
	guest_console 'echo 200 >/proc/sys/kernel/threads-max' >max.out
	# shellcheck disable=SC2016 # for the guest's shell
	send 'bomb() { while :; do (bomb) & sleep 1; done; }; bomb >/dev/null 2>&1'
	until_report '^!! there are [0-9]+ tasks, and can be 200$' 100
	verdicts 'there are '
	grep -qE "^     the kernel's nr_threads is [0-9]+, and its max_threads is 200$" report.txt || fail "$(cat report.txt)"
	grep -qE '^     [0-9]+ of them have the name (sh|sleep)$' report.txt || fail "$(cat report.txt)"
}

# A control group has less memory than its process needs
case_pressure() {
	start_guest vm --arch "$arch"
	guest_console 'mkdir /cg; mount -t cgroup2 cgroup2 /cg && echo +memory >/cg/cgroup.subtree_control && mkdir /cg/a &&
		echo 1M >/cg/a/memory.high' >cgroup.out || fail "$(cat cgroup.out)"
	send 'sh -c "echo \$\$ >/cg/a/cgroup.procs; exec head -c 100000000 /dev/zero >/tmp/x"'
	until_report '^!! memory is short: tasks wait for it for [0-9]+ % of the time$' 100
	verdicts 'memory is short: '
	grep -q '^     its pressure, full, was [0-9.]* % of the last 10 s, and [0-9.]* % of 60 s$' report.txt || fail "$(cat report.txt)"
}

case_crash_kernel() {
	mkdir tree
	cc -static -o tree/load-crash "$root/tests/guest/load-crash.c" || skip "cannot build a static program"
	"$guest" prepare "$arch" >prepare.out || skip "no guest"
	cp "$(cut -d' ' -f3 prepare.out)/"{kernel,initrd.gz} tree
	start_guest vm --arch "$arch" --mem 768M --append crashkernel=256M --add "$tmp/tree"
	guest_console '/load-crash /kernel /initrd.gz "console=ttyS0 is-the-crash-kernel"' >load.out || fail "$(cat load.out)"
	send 'echo c >/proc/sysrq-trigger'
	until_report '^!! its crash kernel runs$' 200
	verdicts 'panicked on CPU [01]: sysrq triggered crash$' 'its crash kernel runs$'
	grep -qE '^     the page tables of CPU [01] are at 0x[0-9a-f]+, in the memory of the crash kernel' report.txt ||
		fail "$(cat report.txt)"
	grep -qE '^  CPU [01]  crash-kernel ' report.txt || fail "$(cat report.txt)"
}

# A kernel whose kallsyms has no variables: those that it exports are found
case_exported() {
	start_guest vm --arch "$arch" --wait 400
	report -v 2>verbose
	grep -q 'kallsyms has no variables; [1-9][0-9]* symbols are of the table of exported ones' verbose ||
		fail "no exported symbols: $(cat verbose)"
	guest_console 'cat /proc/meminfo' >meminfo
	guestdump_json report --json "$guest_source" >report.json
	python3 - <<-'PYTHON' || fail "not as above"
		import json, re
		report, total = json.load(open("report.json")), re.search(r"MemTotal: +(\d+)", open("meminfo").read())[1]
		assert report["memory"]["total"] == int(total) * 1024, (report["memory"], total)
		assert len(report["kernel"]["load"]) == 3, report["kernel"]
	PYTHON
}

# A machine that has not begun to boot
case_firmware() {
	start_guest vm --arch "$arch" --wait 0 -- -S
	"$GUESTDUMP" report "$guest_source" >report.txt || fail "report fails"
	verdicts 'there is no Linux kernel, but '
}

"case_$1"
