#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/crash-kernel.sh - a guest whose own crash kernel runs: the kernel that panicked is shown,
# and the other one is to be had
# test: crash-kernel 600
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires gcc python3
[ "$(uname -m)" = x86_64 ] || skip "needs a compiler for x86-64"
tmpdir
cd "$tmp"

mkdir -p tree/k
gcc -x c -O1 -static -o tree/k/load - 2>gcc.err <<'C' || skip "cannot build a static program: $(cat gcc.err)"
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* load KERNEL INITRD COMMAND-LINE */
int main(int argc, char **argv)
{
	int kernel = open(argv[1], O_RDONLY), initrd = open(argv[2], O_RDONLY);

	if (argc == 4 && !syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3],
				  KEXEC_FILE_ON_CRASH))
		return 0;
	perror("kexec_file_load");
	return 1;
}
C
"$guest" prepare x86_64 >prepare.out 2>&1 || skip "this machine cannot boot the guest"
cache=${GUEST_CACHE:-$root/build/guest/cache}/x86_64
cp "$cache/kernel" "$cache/initrd.gz" tree/k/
start_guest vm --append crashkernel=160M --add "$tmp/tree"
release=$(guest_console 'uname -r' | tr -d '\r')
# shellcheck disable=SC2016 # for the guest's shell
guest_console '/k/load /k/kernel /k/initrd.gz "console=ttyS0 panic=-1 nr_cpus=1 irqpoll reset_devices"' >load.out ||
	skip "the guest does not take a crash kernel: $(cat load.out)"

ready() { grep -ac '^GUEST-READY' "$guest_dir/console.log" || true; }
GUEST_TIMEOUT=1 guest_console 'echo c >/proc/sysrq-trigger' >crash.out 2>&1 || true
for ((i = 0; i < 1200; i++)); do
	[ "$(ready)" -lt 2 ] || break
	sleep 0.2
done
[ "$(ready)" -ge 2 ] || fail "the crash kernel does not boot: $(tail -n 5 "$guest_dir/console.log")"
guest_console 'ls /proc/vmcore' >vmcore.out || fail "this is no crash kernel: $(cat vmcore.out)"

# panicked WHAT: info shows the kernel that panicked, and says that another one runs
panicked() {
	grep -q "^kernel  *Linux $release," "$1" || fail "$1: $(cat "$1")"
	grep -q '^panic  *sysrq triggered crash (on CPU' "$1" || fail "$1: no panic: $(cat "$1")"
	grep -q 'a crash kernel was started at .*; this is the kernel that panicked (the other one: --kernel running)$' "$1" || fail "$1: $(cat "$1")"
}

"$GUESTDUMP" info "$guest_source" >running.info
panicked running.info
"$GUESTDUMP" report "$guest_source" >report.out
sed -n 1p report.out | grep -q '^!! panicked on CPU [01]: sysrq triggered crash$' || fail "$(cat report.out)"
grep -qx '!! its crash kernel runs' report.out || fail "$(cat report.out)"
guestdump_json report --json "$guest_source" >report.json
"$GUESTDUMP" dump -q -d 31 "$guest_source" vm.kdump
"$GUESTDUMP" dump -q -E "$guest_source" vm.elf
for file in vm.kdump vm.elf; do
	"$GUESTDUMP" info "$file" >"$file.info"
	panicked "$file.info"
	"$GUESTDUMP" dmesg "$file" >"$file.log"
	grep -q 'sysrq: Trigger a crash' "$file.log" || fail "$file: another log: $(tail -n 5 "$file.log")"
done

# The other kernel has the same release.  All of its memory was kept.
for file in vm.kdump vm.elf "$guest_source"; do
	"$GUESTDUMP" info --kernel running "$file" >other.info || fail "$file: $(cat other.info)"
	grep -q "^kernel  *Linux $release," other.info || fail "$file: $(cat other.info)"
	if grep '^panic\|that panicked' other.info; then fail "$file: the crash kernel has not panicked"; fi
	grep -q '^tasks  *[0-9]' other.info || fail "$file: no tasks: $(cat other.info)"
	"$GUESTDUMP" dmesg --kernel running "$file" >other.log
	grep -q 'Command line: elfcorehdr=' other.log || fail "$file: not the log of the crash kernel: $(head -n 5 other.log)"
done
"$GUESTDUMP" report --kernel running vm.elf >other.out
if grep '^!! panicked' other.out; then fail "a report of the crash kernel: $(head -n 12 other.out)"; fi
