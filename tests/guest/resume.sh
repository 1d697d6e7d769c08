#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/resume.sh [--kills N] [PART...]
#
# Whatever happens to a dump, the guest goes on: it answers on its console and QEMU calls
# it running, the monitor is free again, no process of ours is left, and a file under the
# final name is a whole one.  PART: one of the functions part_* below; default: all.
#
# test: resume 300 success output pipe monitor two qemu_busy paused torn disk signals
# test: kill 300 kill qemu_dies
# test: kill-200 2400 --kills 200 kill
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/child.sh
. "$(dirname "$0")/child.sh"

kills=20
if [ "${1:-}" = --kills ]; then
	requires_full
	kills=$2
	shift 2
fi

start_guest vm --mem 1G
cd "$tmp"

# our processes, also the guard, inherit this
export GD_TEST_TAG=$tmp
tagged() { grep -lzs "^GD_TEST_TAG=$tmp\$" /proc/[0-9]*/environ | cut -d/ -f3 | while read -r pid; do
	case $(cat "/proc/$pid/comm" 2>/dev/null) in guestdump* | gdump-guard) echo "$pid" ;; esac
done; }

# Slow, so that there is something to interrupt
slow=(-j 1 -C zlib:9)

# start_dump ARGUMENT...: in the background; sets $child.  A shell gives its background
# jobs an ignored SIGINT, which guestdump would respect.
start_dump() {
	env --default-signal=INT,QUIT "$GUESTDUMP" dump -q "$@" 2>dump.err &
	child=$!
}

# dump_fails STATUS PATTERN ARGUMENT...: with a message that has PATTERN
dump_fails() {
	local status=0
	timeout 60 "$GUESTDUMP" dump -q "${@:3}" 2>dump.err >/dev/null || status=$?
	[ "$status" = "$1" ] ||
		fail "exit status $status instead of $1: dump ${*:3}: $(cat dump.err)"
	grep -q -e "$2" dump.err || fail "no word of '$2' after dump ${*:3}: $(cat dump.err)"
}

none_left() { [ -z "$(tagged)" ]; }

# check WHAT [STATUS]: all is well with the guest, and with us
check() {
	local want=${2:-running} answer
	wait_for 10 is_status "$want" || fail "$1: the guest is $(guest_status), not $want"
	wait_for 5 none_left || fail "$1: left over: $(ps -fp "$(tagged | paste -sd,)")"
	timeout 5 "$root/scripts/guest-talk" qmp "$guest_qmp" query-status >qmp.out ||
		fail "$1: the monitor is not free"
	[ "$want" = running ] || return 0
	answer=$(GUEST_TIMEOUT=20 guest_console 'echo here') ||
		fail "$1: the guest gives no answer"
	[ "$answer" = here ] || fail "$1: the guest says '$answer'"
}

# no_file OUTPUT WHAT: nothing under the final name; what is left is of use and says what it is
no_file() {
	local status=0
	if [ -e "$1" ] || [ -L "$1" ]; then fail "$2: there is a file $1"; fi
	if [ -e "$1.incomplete" ]; then
		"$GUESTDUMP" verify -q "$1.incomplete" >verify.out 2>&1 || status=$?
		# kill -9 leaves also what cannot be opened yet, or is whole but has not its name yet
		case $status in
		3) ;;
		0 | 1) [ "${3:-}" = killed ] || fail "$2: what is left is of no use, or whole: $(cat verify.out)" ;;
		*) fail "$2: verify of what is left: status $status: $(cat verify.out)" ;;
		esac
		rm "$1.incomplete"
	fi
}

# milliseconds that a slow dump takes
measure() {
	local start
	start=$(date +%s%N)
	"$GUESTDUMP" dump -q "${slow[@]}" "$guest_source" ok.kdump
	duration=$((($(date +%s%N) - start) / 1000000))
}

sleep_ms() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }

part_success() {
	"$GUESTDUMP" verify -q ok.kdump >verify.out || fail "verify: $(cat verify.out)"
	check success
}

part_disk() {
	local format status
	if ! { mkdir full && mount -t tmpfs -o size=8m none full; } 2>/dev/null; then
		echo "left out: a full disk (needs root, and the right to mount)"
		return
	fi
	cleanup_fn umount full
	for format in kdump elf; do
		status=0
		"$GUESTDUMP" dump -q -f $format "$guest_source" full/vm 2>dump.err || status=$?
		[ -s dump.err ] || fail "disk full: no message"
		case $status in
		3) [ -e full/vm.incomplete ] || fail "disk full: status 3, but nothing left" ;;
		1) [ ! -e full/vm.incomplete ] || fail "disk full: status 1, but something left" ;;
		*) fail "disk full: exit status $status: $(cat dump.err)" ;;
		esac
		echo "disk full, $format: status $status, $(tail -n1 dump.err)"
		no_file full/vm "disk full, $format"
		check "disk full, $format"
	done
}

# signal_dump SIGNAL ARGUMENT...: at a random moment, but before it is done
signal_dump() {
	local moment=$((100 + RANDOM % (duration / 4))) status
	while :; do
		start_dump "${@:2}" "$guest_source" vm.out
		sleep_ms $moment
		kill -s "$1" "$child" 2>/dev/null || true
		status=0
		{ wait "$child"; } 2>/dev/null || status=$?
		child=
		if [ $status != 0 ] || [ $moment -lt 20 ]; then break; fi
		# it was quicker
		rm vm.out
		moment=$((moment / 2))
	done
	[ $status = 4 ] ||
		fail "SIG$1 after $moment ms: exit status $status instead of 4: $(cat dump.err)"
	no_file vm.out "SIG$1 after $moment ms: ${*:2}"
	check "SIG$1 after $moment ms: ${*:2}"
}

part_signals() {
	local signal
	for signal in TERM INT HUP; do
		signal_dump $signal "${slow[@]}"
		signal_dump $signal -E -j 1 --no-direct
	done
}

part_kill() {
	local i moment
	for ((i = 0; i < kills; i++)); do
		moment=$((RANDOM % duration))
		# every fourth time while QEMU dumps
		if [ $((i % 4)) = 3 ]; then
			moment=$((moment / 2))
			start_dump -E --no-direct "$guest_source" vm.out
		else
			start_dump "${slow[@]}" "$guest_source" vm.out
		fi
		sleep_ms $moment
		kill -9 "$child" 2>/dev/null || true
		{ wait "$child"; } 2>/dev/null || true
		child=
		# it may have been done
		if [ -e vm.out ]; then
			"$GUESTDUMP" verify -q vm.out >verify.out ||
				fail "killed after $moment ms: $(cat verify.out)"
			rm vm.out
		fi
		no_file vm.out "killed after $moment ms" killed
		check "killed after $moment ms"
	done
}

part_output() {
	dump_fails 1 'No such file or directory' "$guest_source" nowhere/vm.out
	check "no such folder"
	echo precious >vm.out
	dump_fails 1 'already exists' "$guest_source" vm.out
	[ "$(cat vm.out)" = precious ] || fail "an existing output was touched"
	check "output exists"
	rm vm.out
	echo precious >target
	ln -s target vm.out
	dump_fails 1 'already exists' "$guest_source" vm.out
	dump_fails 1 'already exists' "$guest_source" -E vm.out
	[ "$(cat target)" = precious ] || fail "a symbolic link was followed"
	rm vm.out
	ln -s to-nowhere vm.out
	dump_fails 1 'already exists' "$guest_source" vm.out
	[ ! -e to-nowhere ] || fail "a symbolic link to nowhere was followed"
	rm vm.out
	ln -s target vm.out.incomplete
	dump_fails 1 'vm.out.incomplete' "$guest_source" vm.out
	dump_fails 1 'vm.out.incomplete' --force "$guest_source" vm.out
	[ "$(cat target)" = precious ] || fail "a symbolic link .incomplete was followed"
	rm vm.out.incomplete
	mkdir folder
	dump_fails 2 'directory' "$guest_source" folder
	dump_fails 2 'directory' "$guest_source" folder/
	dump_fails 1 'No space' "$guest_source" /dev/full
	check "outputs that cannot be"
}

part_pipe() {
	local status
	for options in -E -F; do
		status=0
		{ "$GUESTDUMP" dump -q "$options" "$guest_source" - 2>dump.err || echo $? >status; } |
			head -c 1000000 >/dev/null
		[ "$(cat status)" = 1 ] || fail "a reader that goes away: status $(cat status)"
		grep -q 'Broken pipe' dump.err || fail "a reader that goes away: $(cat dump.err)"
		check "a reader that goes away"
	done
	mkfifo fifo
	# one that stalls
	exec 7<>fifo
	start_dump "$guest_source" fifo 7>&-
	sleep 1.5
	kill -TERM "$child"
	end_dump 4 "a reader that stalls"
	check "a reader that stalls"
	start_dump "$guest_source" fifo 7>&-
	sleep 1.5
	kill -9 "$child"
	end_dump 137 "killed while the reader stalls"
	check "killed while the reader stalls"
	exec 7>&-
	# none at all
	start_dump "$guest_source" fifo
	sleep 1
	is_status running || fail "a FIFO that nobody reads: the guest is $(guest_status)"
	kill -TERM "$child"
	end_dump 4 "a FIFO that nobody reads"
	check "a FIFO that nobody reads"
}

# listen PATH TEXT: takes one connection, says TEXT and nothing more; sets $listener
listen() {
	/usr/bin/python3 -c '
import socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
connection = server.accept()[0]
connection.sendall(sys.argv[2].encode())
time.sleep(1000)' "$1" "$2" &
	listener=$!
	wait_for 5 test -S "$1" || fail "cannot listen on $1"
}

end_listener() { [ -z "${listener:-}" ] || kill "$listener" 2>/dev/null; listener=; }
cleanup_fn end_listener

part_monitor() {
	local text
	dump_fails 1 'No such file' qmp:nowhere vm.out
	echo text >file
	dump_fails 2 'file' qmp:file vm.out
	dump_fails 2 'directory\|refused\|connect' qmp:. vm.out
	dump_fails 1 'QMP\|QEMU' --timeout 2 "qmp:$guest_dir/console.sock" vm.out
	for text in 'SSH-2.0-OpenSSH_9.2' '{"QMP": 1}
' '{"QMP": {}}
' '[]
' '{' ''; do
		listen garbage "$text"
		dump_fails 1 'garbage' --timeout 2 qmp:garbage vm.out
		end_listener
		rm garbage
	done
	dump_fails 2 'is not a running guest' file vm.out
	no_file vm.out "no monitor"
	check "no monitor"

	# another client has the monitor
	/usr/bin/python3 -c '
import socket, sys, time
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.recv(1)
print("connected", flush=True)
time.sleep(1000)' "$guest_qmp" >busy.out &
	listener=$!
	wait_for 5 test -s busy.out || fail "cannot connect to the monitor"
	dump_fails 1 'one client at a time' --timeout 2 "$guest_source" vm.out
	is_status running || fail "the monitor is busy: the guest is $(guest_status)"
	end_listener
	no_file vm.out "busy"
	check "the monitor was busy"
}

# Two at the same time: one after the other, or one is refused; never a wrong file
part_two() {
	start_dump "${slow[@]}" "$guest_source" vm.out
	wait_for 5 test -e vm.out.incomplete || fail "no vm.out.incomplete"
	"$GUESTDUMP" dump -q --timeout 60 "$guest_source" second.kdump 2>second.err ||
		fail "the second dump: $(cat second.err)"
	end_dump 0 "the first dump"
	"$GUESTDUMP" verify -q vm.out second.kdump >verify.out || fail "$(cat verify.out)"
	rm vm.out second.kdump
	check "two on one monitor"

	start_dump "${slow[@]}" "$guest_source" vm.out
	wait_for 5 test -e vm.out.incomplete || fail "no vm.out.incomplete"
	dump_fails 1 'another guestdump' "qmp:$guest_dir/monitor" vm.out
	end_dump 0 "the first dump"
	"$GUESTDUMP" verify -q vm.out >verify.out || fail "$(cat verify.out)"
	rm vm.out
	check "two with one output"

	start_dump "${slow[@]}" "$guest_source" vm.out
	wait_for 5 test -e vm.out.incomplete || fail "no vm.out.incomplete"
	dump_fails 1 'another guestdump (process [0-9]*) is dumping this guest' "qmp:$guest_dir/monitor" other.out
	dump_fails 1 'another guestdump (process [0-9]*) is dumping this guest' "pid:$(cat "$guest_dir/pid")" other.out
	end_dump 0 "the first dump"
	"$GUESTDUMP" verify -q vm.out >verify.out || fail "$(cat verify.out)"
	no_file other.out "two on two monitors"
	rm vm.out
	check "two on two monitors"
}

# monitor JSON...: on the guest's second monitor
monitor() { "$guest" qmp "$guest_dir" "$@" >monitor.out || fail "QEMU: $(cat monitor.out)"; }

qemu_dump_ended() { [ "$("$guest" qmp "$guest_dir" query-dump)" != "${1:-}" ] &&
	! "$guest" qmp "$guest_dir" query-dump | grep -q '"active"'; }

# QEMU is at something that does not go along with a dump
part_qemu_busy() {
	# into a FIFO that is open, but not read
	mkfifo qemu.fifo
	exec 7<>qemu.fifo
	monitor '{"execute": "dump-guest-memory", "arguments": {"paging": false,
		"detach": true, "protocol": "file:'"$tmp"'/qemu.fifo"}}'
	dump_fails 1 'already being dumped' "$guest_source" vm.out 7>&-
	exec 7>&-
	wait_for 10 qemu_dump_ended || fail "QEMU's own dump does not end"
	no_file vm.out "QEMU's own dump"
	check "QEMU's own dump"

	monitor '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 4096}}' \
		'{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}'
	dump_fails 1 'is being migrated' "$guest_source" vm.out
	monitor migrate_cancel
	no_file vm.out "a migration"
	check "a migration"
	"$GUESTDUMP" dump -q "$guest_source" vm.out || fail "no dump after a migration"
	rm vm.out
	check "a dump after a migration"
}

part_paused() {
	monitor stop
	"$GUESTDUMP" dump -q "$guest_source" vm.out
	check "paused before" paused
	start_dump --force "${slow[@]}" "$guest_source" vm.out
	sleep_ms $((duration / 3))
	kill -TERM "$child"
	end_dump 4 "paused before, SIGTERM"
	check "paused before, SIGTERM" paused
	rm -f vm.out.incomplete
	start_dump --force "${slow[@]}" "$guest_source" vm.out
	sleep_ms $((duration / 3))
	kill -9 "$child"
	end_dump 137 "paused before, SIGKILL"
	check "paused before, SIGKILL" paused
	"$GUESTDUMP" verify -q vm.out >verify.out || fail "--force lost the old file too early"
	rm -f vm.out vm.out.incomplete
	monitor cont
	check "paused before"
}

# Somebody else lets the guest go on too early: what is read then is of no use
part_torn() {
	local before drain
	for before in running paused; do
		if [ $before = paused ]; then monitor stop; fi
		mkfifo torn
		exec 7<>torn
		start_dump "$guest_source" torn 7>&-
		wait_for 5 is_status paused || fail "torn: the guest is $(guest_status)"
		sleep 1
		monitor cont
		cat <torn >/dev/null 7>&- &
		drain=$!
		exec 7>&-
		end_dump 1 "torn, $before before"
		wait $drain
		grep -q 'resumed by someone else' dump.err ||
			fail "torn, $before before: no word of it: $(cat dump.err)"
		rm torn
		check "torn, $before before"
	done
}

# QEMU itself dies; nothing is left of the guest
part_qemu_dies() {
	local status=0
	start_dump "${slow[@]}" "$guest_source" vm.out
	wait_for 5 test -e vm.out.incomplete || fail "no vm.out.incomplete"
	sleep_ms $((duration / 3))
	kill -9 "$guest_pid"
	wait "$child" || status=$?
	child=
	echo "QEMU died: status $status, $(cat dump.err)"
	case $status in
	3) [ -e vm.out.incomplete ] || fail "QEMU died: status 3, but nothing left" ;;
	1) [ ! -e vm.out.incomplete ] || fail "QEMU died: status 1, but something left" ;;
	*) fail "QEMU died: exit status $status: $(cat dump.err)" ;;
	esac
	grep -q "QEMU.*died\|process $guest_pid.*\(died\|gone\|ended\)" dump.err ||
		fail "QEMU died: no word of it: $(cat dump.err)"
	no_file vm.out "QEMU died"
	wait_for 10 none_left || fail "QEMU died: left over: $(tagged)"
	grep -q 'still paused' dump.err && fail "QEMU died, but: $(cat dump.err)"
	dump_fails 1 'no process listens' "$guest_source" vm.out
}

measure
echo "a slow dump takes $duration ms"
if [ $# = 0 ]; then
	set -- success output pipe monitor two qemu_busy paused torn disk signals kill qemu_dies
fi
for part; do
	SECONDS=0
	"part_$part"
	echo "$part: passed in $SECONDS s"
done
