#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/stall.sh [PART...]
#
# A dump that makes no progress does not leave its guest paused: whatever stalls, the guest is
# resumed.  PART: one of the functions part_* below, or WAY/STALL; default: all but the table.
#
# test: stall 300
# test: stall-table 1800 --full table
# test: stall-minute 600 --full minute
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/child.sh
. "$(dirname "$0")/child.sh"

[ "${1:-}" != --full ] || { requires_full; shift; }
start_guest vm --mem 512M
cd "$tmp"

# Standard error is a full pipe, from the first byte on
part_pipe() {
	mkfifo full
	exec 8<>full
	timeout 1 dd if=/dev/zero bs=4096 >&8 2>/dev/null || true
	"$GUESTDUMP" dump -d 31 --progress json "$guest_source" vm.out 2>&8 8>&- &
	child=$!
	wait_for 60 test -e vm.out || fail "nobody reads standard error: the dump is not done"
	wait_for 5 is_status running || fail "nobody reads standard error: the guest is $(guest_status)"
	exec 9<full 8>&-
	tr -d '\0' <&9 >dump.err &
	exec 9<&-
	end_dump 0 "nobody reads standard error"
	wait
	valid_json dump.err
	grep -q '"type":"done"' dump.err || fail "nobody read standard error: no result: $(cat dump.err)"
	grep -q '"type":"plan"' dump.err || fail "messages are lost: $(cat dump.err)"
	rm vm.out full
}

# A terminal whose output is stopped, as by Ctrl-S, and one that has room for some bytes only
part_terminal() {
	local how
	for how in stopped slow; do
		/usr/bin/python3 - "$how" "$guest_source" >dump.err <<'END' &
import os, pty, subprocess, sys, termios, time
master, slave = pty.openpty()
if sys.argv[1] == "stopped":
    termios.tcflow(slave, termios.TCOOFF)
else:
    os.set_blocking(slave, False)
    try:
        while True:
            os.write(slave, b"x" * 512)
    except BlockingIOError:
        pass
    os.set_blocking(slave, True)
    os.read(master, 20)
dump = subprocess.Popen([os.environ["GUESTDUMP"], "dump", "--progress", "bar", sys.argv[2],
                         "vm.out"], stderr=slave)
while not os.path.exists("go-on"):
    time.sleep(0.1)
termios.tcflow(slave, termios.TCOON)
os.close(slave)
try:
    while True:
        sys.stdout.buffer.write(os.read(master, 4096))
except OSError:
    pass
sys.exit(dump.wait())
END
		child=$!
		wait_for 60 test -e vm.out || fail "a $how terminal: the dump is not done"
		wait_for 5 is_status running || fail "a $how terminal: the guest is $(guest_status)"
		: >go-on
		end_dump 0 "a $how terminal"
		grep -q 'guest resumed' dump.err || fail "a $how terminal: no result: $(cat dump.err)"
		rm vm.out go-on
	done
}

# A dump that takes some seconds; sets $child
start_slow_dump() {
	"$GUESTDUMP" dump -q -j 1 -C zlib:9 "$@" "$guest_source" vm.out 2>dump.err &
	child=$!
	wait_for 20 is_status paused || fail "the guest is $(guest_status), not paused: $(cat dump.err)"
}

is_stopped() { grep -q '^State:.T' "/proc/$child/status"; }

# is_incomplete WHAT: what is left has its pages, and says that it is not all
is_incomplete() {
	[ ! -e vm.out ] || fail "$1: the dump has its final name"
	fails_with 3 "$GUESTDUMP" verify -q vm.out.incomplete >verify.out 2>&1
	rm vm.out.incomplete
	GUEST_TIMEOUT=20 guest_console 'echo here' >/dev/null || fail "$1: the guest gives no answer"
}

# Ctrl-Z: the guest is resumed, and then the program stops
part_ctrl_z() {
	local signal
	for signal in TSTP TTIN TTOU; do
		start_slow_dump
		kill -s $signal "$child"
		wait_for 10 is_status running || fail "SIG$signal: the guest is $(guest_status)"
		wait_for 5 is_stopped || fail "SIG$signal: guestdump is not stopped"
		kill -CONT "$child"
		end_dump 3 "SIG$signal"
		grep -q 'had to be resumed before all memory was read' dump.err || fail "SIG$signal: $(cat dump.err)"
		is_incomplete "SIG$signal"
	done
}

# SIGSTOP, which no program notices: the guard resumes the guest
part_stop() {
	start_slow_dump
	kill -STOP "$child"
	wait_for 5 is_stopped || fail "SIGSTOP: guestdump is not stopped"
	wait_for 20 is_status running || fail "SIGSTOP: the guest is $(guest_status)"
	kill -CONT "$child"
	end_dump 3 "SIGSTOP"
	grep -q 'resumed before all memory was read: guestdump was stopped for' dump.err ||
		fail "SIGSTOP: $(cat dump.err)"
	is_incomplete "SIGSTOP"
	# it may also end before it is continued
	start_slow_dump
	kill -STOP "$child"
	wait_for 20 is_status running || fail "SIGSTOP: the guest is $(guest_status)"
	kill -KILL "$child"
	end_dump 137 "SIGSTOP and SIGKILL"
	is_status running || fail "SIGSTOP and SIGKILL: the guest is $(guest_status)"
	rm vm.out.incomplete
}

# A dump that takes too long, and one whose reader stalls
part_max_pause() {
	local way
	for way in '' --no-direct; do
		start_slow_dump --max-pause 1 $way
		wait_for 10 is_status running || fail "--max-pause $way: the guest is $(guest_status)"
		end_dump 3 "--max-pause $way"
		grep -q 'resumed after the longest pause that is allowed, 1.0 s, before' dump.err ||
			fail "--max-pause $way: $(cat dump.err)"
		is_incomplete "--max-pause $way"

		mkfifo pipe
		exec 8<>pipe
		"$GUESTDUMP" dump -q --max-pause 2 $way "$guest_source" - >pipe 2>dump.err 8>&- &
		child=$!
		wait_for 20 is_status paused || fail "a pipe $way: the guest is $(guest_status)"
		wait_for 20 is_status running || fail "a reader that stalls $way: the guest is $(guest_status)"
		exec 9<pipe 8>&-
		cat <&9 >/dev/null &
		exec 9<&-
		end_dump 1 "a reader that stalls $way"
		wait
		grep -q 'longest pause' dump.err || fail "a reader that stalls $way: $(cat dump.err)"
		rm pipe
	done
}

# What can be known before is found out before the guest is paused
part_before() {
	local format
	for format in s390 win-dmp; do
		fails_with 1 "$GUESTDUMP" dump -vv -f $format "$guest_source" vm.out 2>dump.err
		grep -q "format $format can hold\|header of a Windows dump" dump.err || fail "$format: $(cat dump.err)"
		if grep '"execute":"stop"\|guest resumed' dump.err; then fail "$format: the guest was paused"; fi
		[ ! -e vm.out.incomplete ] || fail "$format: a file is left"
	done
	if ! { mkdir small && mount -t tmpfs -o size=4m none small; } 2>/dev/null; then
		echo "left out: a small disk (needs root, and the right to mount)"
		return
	fi
	cleanup_fn umount small
	fails_with 1 "$GUESTDUMP" dump -vv --strict-space "$guest_source" small/vm 2>dump.err
	grep -q 'small/vm: the dump needs about .* MiB, and .* MiB are free' dump.err ||
		fail "--strict-space: $(cat dump.err)"
	if grep '"execute":"stop"\|guest resumed' dump.err; then fail "--strict-space: the guest was paused"; fi
	fails_with 3 "$GUESTDUMP" dump "$guest_source" small/vm 2>dump.err
	grep -q 'warning: small/vm: the dump needs about' dump.err || fail "no warning: $(cat dump.err)"
}

# The table: all ways to dump, and all that can stall.  Whatever it is, the guest runs and answers
# within the limit, and the dump is complete, or incomplete and says why.  Guests of libvirt are in libvirt.sh, as they
# need a libvirtd; protected ones cannot be run without their hardware.
ways=(direct no-direct live live-31 split pipe pid)
stalls=(tstp stop terminal stderr consumer disk codec max-pause)

# held.py terminal|stderr COMMAND...: standard error takes nothing until the file go-on is there
held=$tmp/held.py
cat >"$held" <<'END'
import os, pty, subprocess, sys, termios, time
if sys.argv[1] == "terminal":
    there, here = pty.openpty()
    termios.tcflow(here, termios.TCOOFF)
else:
    there, here = os.pipe()
    os.set_blocking(here, False)
    try:
        while True:
            os.write(here, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(here, True)
dump = subprocess.Popen(sys.argv[2:], stderr=here)
while not os.path.exists("go-on"):
    time.sleep(0.1)
if sys.argv[1] == "terminal":
    termios.tcflow(here, termios.TCOON)
os.close(here)
with open("dump.err", "wb") as log:
    try:
        while True:
            text = os.read(there, 65536)
            if not text:
                break
            log.write(text)
    except OSError:
        pass
sys.exit(dump.wait())
END

# A file system of which all writers wait while it is frozen
make_disk() {
	[ ! -e disk ] || return 0
	truncate -s 700M disk.img && mkfs.ext4 -q disk.img && mkdir disk &&
		mount -o loop disk.img disk || return 1
	cleanup_fn remove_disk
}
# shellcheck disable=SC2317 # called at the end
remove_disk() {
	fsfreeze -u disk 2>/dev/null
	end_child
	wait
	umount disk
}

migration() {
	"$guest" qmp "$guest_dir" query-migrate |
		python3 -c 'import json, sys; print(json.load(sys.stdin).get("status", "none"))'
}
is_over() { ! kill -0 "$child" 2>/dev/null; }
# by SIGSTOP or by ptrace; QEMU gives no answer then
is_frozen() { grep -q '^State:.[Tt]' "/proc/$guest_pid/status"; }
# a short one may have ended between two looks, and wait for who reads standard error
has_begun() {
	if [ "$way" = pid ]; then
		is_over || is_frozen || [ -e vm.out ]
		return
	fi
	is_over || is_status paused || [ "$(migration)" = active ] || { [ "$way" != pipe ] && [ -e vm.out ]; }
}
answers() { ! is_frozen && [ "$(GUEST_TIMEOUT=5 guest_console 'echo here' 2>/dev/null)" = here ] && is_status running; }

# begin_cell WAY STALL: sets $child
begin_cell() {
	local options=(-j 1 -C zlib:9) before=() out=vm.out source=$guest_source
	case $1 in
	no-direct) options+=(--no-direct) ;;
	live) options+=(--live) ;;
	live-31) options+=(--live -d 31) ;;
	split) options+=(--split 2) ;;
	pipe) out=- ;;
	pid) source=pid:$guest_pid ;;
	esac
	case $2 in
	consumer) options+=(--max-pause 2) ;;
	disk) options+=(--max-pause 2) out=disk/vm.out ;;
	max-pause) options+=(--max-pause 1) ;;
	terminal) options+=(--progress bar) before=(/usr/bin/python3 "$held" terminal) ;;
	stderr) options+=(--progress json) before=(/usr/bin/python3 "$held" stderr) ;;
	esac
	if [ $out = - ]; then
		mkfifo pipe
		cat <pipe >vm.out &
		consumer=$!
		"${before[@]}" "$GUESTDUMP" dump "${options[@]}" "$source" - >pipe 2>dump.err &
	else
		"${before[@]}" "$GUESTDUMP" dump "${options[@]}" "$source" $out 2>dump.err &
	fi
	child=$!
}

# let_stall STALL, let_go STALL
let_stall() {
	case $1 in
	tstp) kill -TSTP "$child" || true ;; # it may have ended
	stop) kill -STOP "$child" || true ;;
	consumer) kill -STOP "$consumer" || true ;;
	disk) fsfreeze -f disk ;;
	esac
}
let_go() {
	case $1 in
	tstp | stop) kill -CONT "$child" || true ;;
	consumer) kill -CONT "$consumer" || true ;;
	disk) fsfreeze -u disk ;;
	terminal | stderr) : >go-on ;;
	esac
}
# a Ctrl-Z that came in the meantime may stop it again
goes_to_its_end() { kill -CONT "$child" 2>/dev/null || true; is_over; }

# end_cell STATUS WHAT: what is left is whole, or says that it is not
end_cell() {
	local file dir=. want
	if compgen -G 'disk/vm.out*' >/dev/null; then dir=disk; fi
	case $1 in
	0) want=0 ;;
	1 | 3)
		want=3
		grep -q 'resumed\|discarded' dump.err || fail "$2: status $1 without a reason: $(cat dump.err)"
		[ "$1" = 3 ] || { rm -f vm.out; return; }
		;;
	*) fail "$2: status $1: $(cat dump.err)" ;;
	esac
	if [ -e $dir/vm.out-1 ] || [ -e $dir/vm.out-1.incomplete ]; then
		fails_with $want "$GUESTDUMP" verify -q $dir/vm.out-* >verify.out 2>&1
	else
		for file in "$dir"/vm.out*; do
			fails_with $want "$GUESTDUMP" verify -q "$file" >verify.out 2>&1
		done
	fi
	rm -f $dir/vm.out*
}

cell() {
	local way=$1 stall=$2 what="$1, $2" status=0 began=$SECONDS
	[ "$way" != pid ] || [ "$(id -u)" = 0 ] || { echo "$what: left out (needs root)"; return 0; }
	case $stall in
	consumer) [ "$way" = pipe ] || return 0 ;;
	disk)
		[ "$way" != pipe ] || return 0
		make_disk || { echo "$what: left out (needs root, ext4 and a loop device)"; return 0; }
		;;
	esac
	consumer=
	begin_cell "$way" "$stall"
	wait_for 60 has_begun || fail "$what: nothing begins: the guest is $(guest_status): $(cat dump.err)"
	let_stall "$stall"
	wait_for 60 answers || fail "$what: the guest is $(guest_status), and gives no answer"
	echo "$what: the guest answers after $((SECONDS - began)) s"
	let_go "$stall"
	wait_for 120 goes_to_its_end || fail "$what: the dump does not end: $(cat dump.err)"
	wait "$child" || status=$?
	child=
	[ -z "$consumer" ] || wait "$consumer"
	# whose registers are missing, which is status 3, but of the memory nothing
	if [ "$way,$status" = pid,3 ] && ! grep -q 'resumed before\|before all memory' dump.err; then status=0; fi
	case $stall in
	terminal | stderr | codec) [ $status = 0 ] || fail "$what: status $status: $(cat dump.err)" ;;
	esac
	end_cell $status "$what"
	rm -f go-on pipe
	wait_for 10 answers || fail "$what: at the end, the guest is $(guest_status)"
	echo "$what: status $status after $((SECONDS - began)) s"
}

part_table() {
	local way stall
	for way in "${ways[@]}"; do
		for stall in "${stalls[@]}"; do
			cell "$way" "$stall"
		done
	done
}

# The limit that holds without --max-pause, waited out once
part_minute() {
	local way
	for way in '' --no-direct; do
		mkfifo pipe
		exec 8<>pipe
		"$GUESTDUMP" dump -q $way "$guest_source" - >pipe 2>dump.err 8>&- &
		child=$!
		wait_for 60 is_status paused || fail "a minute $way: the guest is $(guest_status)"
		sleep 40
		is_status paused || fail "a minute $way: the guest is $(guest_status) too early"
		wait_for 60 is_status running || fail "a minute $way: the guest is $(guest_status)"
		exec 9<pipe 8>&-
		cat <&9 >/dev/null &
		exec 9<&-
		end_dump 1 "a minute $way"
		wait
		grep -q 'resumed after 60.0 s without progress' dump.err || fail "a minute $way: $(cat dump.err)"
		rm pipe
	done
}

[ $# -gt 0 ] || set -- pipe terminal ctrl_z stop max_pause before
for part; do
	SECONDS=0
	case $part in
	*/*) cell "${part%/*}" "${part#*/}" ;;
	*) "part_$part" ;;
	esac
	echo "$part: passed in $SECONDS s"
done
