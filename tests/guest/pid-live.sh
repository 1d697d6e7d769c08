#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/pid-live.sh - whatever happens to a dump by process, paused or with --live, QEMU goes on:
# no thread is stopped, no memory is write-protected, and no file has the final name unless it is whole
# test: pid-live 900
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/child.sh
. "$(dirname "$0")/child.sh"
[ "$(id -u)" = 0 ] || skip "needs root"
requires /usr/bin/python3 gcc
guest_program moment
start_guest vm --mem 256M --add "$add"
cd "$tmp"

is_stopped() { grep -h State "/proc/$guest_pid/task"/*/status | grep -q '[Tt] ('; }
# the kernel's name of memory that is write-protected by userfaultfd(2)
is_protected() { grep -q '^VmFlags:.* uw ' "/proc/$guest_pid/smaps"; }
is_free() { ! is_stopped && ! is_protected; }
descriptors() { readlink "/proc/$guest_pid/fd"/* | grep -c userfaultfd || true; }
# QEMU's memory, which a snapshot protects
begins() { is_protected || ! kill -0 "$child" 2>/dev/null; }

# check WHAT: all is well with the guest
check() {
	wait_for 30 is_free || fail "$1: QEMU is $(is_stopped && echo stopped || echo write-protected)"
	[ "$(descriptors)" = 0 ] || fail "$1: QEMU has a userfaultfd"
	[ "$(GUEST_TIMEOUT=60 guest_console 'echo it goes on')" = "it goes on" ] || fail "$1: the guest hangs"
	[ "$(guest_status)" = running ] || fail "$1: the guest is $(guest_status)"
	rm -f out.kdump out.kdump.incomplete
}

begin() {
	env --default-signal=INT,QUIT "$GUESTDUMP" dump -q --force "$@" "pid:$guest_pid" out.kdump 2>dump.err &
	child=$!
}

# end_with STATUS TEXT WHAT
end_with() {
	local status=0
	wait $child || status=$?
	child=
	[ $status = "$1" ] || fail "$3: status $status: $(cat dump.err)"
	grep -q "$2" dump.err || fail "$3: $(cat dump.err)"
}

guest_console 'moment 8192 >/dev/null 2>&1 & echo started' >started

# Killed at any moment, alone or with its guard
rounds=${ROUNDS:-10}
[ -z "${GUESTDUMP_FULL:-}" ] || rounds=50
for ((i = 0; i < rounds; i++)); do
	for how in --live=no --live; do
		begin $how -C zlib:9
		sleep "$((RANDOM % 2)).$(printf '%03d' $((RANDOM % 1000)))"
		victims=$child
		[ $((i % 2)) = 0 ] || victims="$(pgrep -P $child || true) $child"
		# shellcheck disable=SC2086 # a list
		kill -9 $victims 2>/dev/null || true
		{ wait $child; } 2>/dev/null || true
		child=
		check "kill -9, $how, $i"
	done
done

# Canceled: there is nothing that has to be read to its end
begin --live -C zlib:9
wait_for 60 begins || fail "no snapshot begins: $(cat dump.err)"
kill -INT $child
end_with 4 canceled "SIGINT"
[ ! -e out.kdump ] || fail "SIGINT: there is a file"
check "SIGINT"

# Stopped in the middle while nobody reads: the guard lets the guest write, and the dump says so
mkfifo pipe
exec 8<>pipe
TMPDIR=$tmp "$GUESTDUMP" dump --live -q -E --begin 0 --length 128M "pid:$guest_pid" - >pipe 2>dump.err 8>&- &
child=$!
wait_for 60 begins || fail "no snapshot begins: $(cat dump.err)"
kill -STOP $child
sleep 2
wait_for 60 is_free || fail "guestdump is stopped, and the guest's memory is still write-protected"
[ "$(GUEST_TIMEOUT=60 guest_console 'echo it goes on')" = "it goes on" ] || fail "SIGSTOP: the guest hangs"
cat <&8 >pipe.out &
reader=$!
exec 8>&-
kill -CONT $child
status=0
wait $child || status=$?
child=
kill $reader 2>/dev/null || true
case $status in
1 | 3) grep -q 'resumed before all memory was read: guestdump was stopped' dump.err || fail "SIGSTOP: $(cat dump.err)" ;;
*) fail "SIGSTOP: status $status: $(cat dump.err)" ;;
esac
check "SIGSTOP"

# What would be done, and is not
"$GUESTDUMP" dump --live --dry-run -v "pid:$guest_pid" >dry 2>dump.err || fail "$(cat dump.err)"
grep -q 'have one of them call userfaultfd(2) and close(2)' dry || fail "$(cat dry)"
! grep -q 'stopped within' dump.err || fail "a dry run stops the threads: $(cat dump.err)"

# QEMU is killed
begin --live -C zlib:9
wait_for 60 begins || fail "no snapshot begins: $(cat dump.err)"
kill -KILL "$guest_pid"
status=0
wait $child || status=$?
child=
[ $status = 1 ] || [ $status = 3 ] || fail "QEMU is killed: status $status: $(cat dump.err)"
[ ! -e out.kdump ] || fail "QEMU is killed: there is a file"
rm -f out.kdump.incomplete
"$guest" stop "$guest_dir"

# refused TEXT: nothing is done to QEMU; with =try it is paused
refused() {
	local status=0
	"$GUESTDUMP" dump -q --live "pid:$guest_pid" out.kdump 2>dump.err || status=$?
	[ $status = 1 ] || fail "status $status: $(cat dump.err)"
	grep -q "cannot take a snapshot of the running guest: .*$1" dump.err || fail "$(cat dump.err)"
	[ ! -e out.kdump ] || fail "refused, but there is a file"
	check "refused: $1"
	status=0
	"$GUESTDUMP" dump -q --live=try "pid:$guest_pid" out.kdump 2>dump.err || status=$?
	[ $status = 3 ] || fail "--live=try: status $status: $(cat dump.err)"
	grep -q "is paused until its memory is read.*$1" dump.err || fail "--live=try: $(cat dump.err)"
	[ -e out.kdump ] || fail "--live=try: no dump"
	check "--live=try: $1"
}

# QEMU with a filter of system calls
start_guest sandbox --mem 128M -- -sandbox on
refused 'is in a sandbox (seccomp)'
"$guest" stop "$guest_dir"

# QEMU as a user that may not use userfaultfd(2)
if [ "$(cat /proc/sys/vm/unprivileged_userfaultfd)" = 0 ]; then
	mkdir user
	cat >user/qemu-system-x86_64 <<-WRAPPER
		#!/bin/sh
		chown -R 65534 "$tmp/user/vm"
		exec setpriv --reuid=65534 --regid=65534 --clear-groups $(command -v qemu-system-x86_64) "\$@"
	WRAPPER
	chmod 755 . user user/qemu-system-x86_64
	PATH=$tmp/user:$PATH start_guest user/vm --mem 128M
	refused "process $guest_pid may not use userfaultfd(2)"
	"$guest" stop "$guest_dir"
fi

# a private mapping of a file
start_guest file --mem 128M --memory file-private
refused 'cannot be write-protected: it is the private mapping of a file'
