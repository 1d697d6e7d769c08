#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/live-safe.sh PART... - whatever happens to dump --live, the guest goes on:
# no migration is left half-way, QEMU's settings are as they were, and no file has the
# final name unless it is whole.  PART: one of the functions part_* below.
#
# test: live-cancel 600 signals kill disk pipe again quit
# test: live-refused 300 refused memory allocates rights
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/guest/child.sh
. "$(dirname "$0")/child.sh"

requires /usr/bin/python3 gcc
guest_program moment
start_guest vm --mem 256M --add "$add"
cd "$tmp"

monitor() { "$guest" qmp "$guest_dir" "$@" >monitor.out || fail "QEMU: $(cat monitor.out)"; }
settings() { "$guest" qmp "$guest_dir" query-migrate-capabilities query-migrate-parameters; }
migration() {
	"$guest" qmp "$guest_dir" query-migrate |
		/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin).get("status", "none"))'
}

migration_over() { case $(migration) in completed | none | failed | cancelled) ;; *) return 1 ;; esac; }
as_before() { settings | cmp -s before -; }

# check WHAT: all is well with the guest
check() {
	[ "$(GUEST_TIMEOUT=60 guest_console 'echo it goes on')" = "it goes on" ] || fail "$1: the guest hangs"
	[ "$(guest_status)" = running ] || fail "$1: the guest is $(guest_status)"
	wait_for 30 migration_over || fail "$1: the migration is $(migration)"
	wait_for 30 as_before || fail "$1: QEMU's settings are not as they were"
	# a whole file, or none under this name
	if [ -e out.kdump ]; then
		"$GUESTDUMP" verify -q out.kdump >verify.out || fail "$1: $(cat verify.out)"
	fi
	rm -f out.kdump out.kdump.incomplete
}

# A shell gives its background jobs an ignored SIGINT, which guestdump would respect.
begin() {
	env --default-signal=INT,QUIT "$GUESTDUMP" dump --live --progress plain "$@" "$guest_source" out.kdump 2>dump.err &
	child=$!
}

snapshot_runs() { [ "$(migration)" = active ] || ! kill -0 "$child" 2>/dev/null; }

# not the defaults, so that it shows if they are lost
monitor '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 23456789}}' \
	'{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "events", "state": true}]}}'
settings >before
guest_console 'moment 8192 >/dev/null 2>&1 & echo started' >started
sleep 2

part_signals() {
	local signal status
	for signal in INT TERM; do
		begin -C zlib:9
		wait_for 60 snapshot_runs || fail "no snapshot begins"
		sleep 0.3
		kill -s $signal $child 2>/dev/null || true
		status=0
		wait $child || status=$?
		child=
		case $status in
		0) echo "SIG$signal came too late" ;;
		4)
			grep -q "reading the rest" dump.err || fail "SIG$signal: $(cat dump.err)"
			grep "the rest of the snapshot took" dump.err
			[ ! -e out.kdump ] || fail "SIG$signal: there is a file"
			;;
		*) fail "SIG$signal: status $status: $(cat dump.err)" ;;
		esac
		check "SIG$signal"
	done
	# the second one does not wait; the guard does
	begin -C zlib:9
	wait_for 60 snapshot_runs || fail "no snapshot begins"
	kill -INT $child 2>/dev/null || true
	sleep 0.3
	kill -INT $child 2>/dev/null || true
	wait $child || true
	child=
	check "SIGINT twice"
}

part_kill() {
	local i rounds=4 begun=$SECONDS
	[ -z "${GUESTDUMP_FULL:-}" ] || rounds=20
	begin
	wait $child || fail "dump --live: $(cat dump.err)"
	local duration=$(((SECONDS - begun + 1) * 1000))
	rm out.kdump
	for i in $(seq $rounds); do
		begin -C zlib:6
		sleep "$(printf '%d.%03d' $((RANDOM % duration / 1000)) $((RANDOM % 1000)))"
		kill -KILL $child 2>/dev/null || true
		{ wait $child; } 2>/dev/null || true
		child=
		check "kill -9, $i"
	done
}

part_disk() {
	if ! { mkdir full && mount -t tmpfs -o size=8m none full; } 2>/dev/null; then
		echo "left out: a full disk (needs root, and the right to mount)"
		return
	fi
	cleanup_fn umount "$tmp/full"
	"$GUESTDUMP" dump --live -q "$guest_source" full/vm 2>dump.err && fail "8 MiB are enough"
	grep -q 'No space left' dump.err || fail "disk full: $(cat dump.err)"
	[ ! -e full/vm ] || fail "disk full: there is a file"
	check "disk full"
	# the next level is of another moment, and fits
	"$GUESTDUMP" dump --live --force -d 0,31 "$guest_source" full/vm 2>dump.err || grep -q 'trying level 31' dump.err ||
		fail "-d 0,31: $(cat dump.err)"
	check "disk full, with another level"
}

part_pipe() {
	{ "$GUESTDUMP" dump --live -q "$guest_source" - 2>dump.err && touch ended; } | head -c 100000 >/dev/null || true
	[ ! -e ended ] || fail "a reader that goes away: no error"
	grep -q 'Broken pipe' dump.err || fail "a reader that goes away: $(cat dump.err)"
	check "a reader that goes away"
}

# A second one while ours runs
part_again() {
	begin -C zlib:9
	wait_for 60 snapshot_runs || fail "no snapshot begins"
	if kill -0 $child 2>/dev/null; then
		"$GUESTDUMP" dump --live -q "qmp:$guest_dir/monitor" second.kdump 2>second.err || true
		[ -e second.kdump ] || grep -q 'is dumping this guest' second.err || fail "a second one: $(cat second.err)"
		[ ! -s second.err ] || cat second.err
		rm -f second.kdump
	fi
	wait $child || fail "with a second one: $(cat dump.err)"
	child=
	check "a second one"
}

# QEMU ends, last
part_quit() {
	local status=0
	begin -C zlib:9
	wait_for 60 snapshot_runs || fail "no snapshot begins"
	kill -KILL "$guest_pid"
	wait $child || status=$?
	child=
	[ $status = 1 ] || [ $status = 3 ] || fail "QEMU is killed: status $status: $(cat dump.err)"
	grep 'guestdump: qmp:\|guestdump: the snapshot' dump.err || fail "QEMU is killed: $(cat dump.err)"
	[ ! -e out.kdump ] || fail "QEMU is killed: there is a file"
}

# dump_fails STATUS ARGUMENT...
dump_fails() {
	local status=0
	"$GUESTDUMP" dump -q "${@:2}" "$guest_source" out.kdump 2>dump.err || status=$?
	[ $status = "$1" ] || fail "exit status $status, not $1: dump ${*:2}: $(cat dump.err)"
}

# refused PATTERN: nothing is paused for it; with =try it is dumped all the same
refused() {
	dump_fails 1 --live
	grep "$1" dump.err || fail "no word of '$1': $(cat dump.err)"
	[ ! -e out.kdump ] || fail "refused, but there is a file"
	check "refused: $1"
	"$GUESTDUMP" dump --live=try -q "$guest_source" out.kdump 2>dump.err || fail "--live=try: $(cat dump.err)"
	grep -q "is paused until its memory is read.*$1" dump.err || fail "--live=try: $(cat dump.err)"
	[ -e out.kdump ] || fail "--live=try: no dump"
	check "--live=try: $1"
}

capability() {
	monitor '{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "'"$1"'", "state": '"$2"'}]}}'
	settings >before
}

part_refused() {
	capability xbzrle true
	refused 'not compatible with xbzrle'
	capability xbzrle false
	capability multifd true
	refused 'not compatible with multifd'
	capability multifd false

	dump_fails 2 --live -f win-dmp
	check "format win-dmp"
	dump_fails 2 --live --no-direct
	grep -e '--live and --no-direct exclude each other' dump.err || fail "--no-direct: $(cat dump.err)"
	check "--no-direct"

	# of somebody else
	monitor '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 4096}}' \
		'{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}'
	dump_fails 1 --live=try
	grep 'is being migrated' dump.err || fail "a migration: $(cat dump.err)"
	monitor migrate_cancel '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 23456789}}'
	check "a migration"

	# the guest stands still: there is nothing to be live about
	monitor stop
	"$GUESTDUMP" dump --live -q "$guest_source" out.kdump 2>dump.err || fail "paused: $(cat dump.err)"
	[ "$(guest_status)" = paused ] || fail "the paused guest is $(guest_status)"
	monitor cont
	check "paused before"
}

# Guests of which QEMU can take no snapshot
part_memory() {
	local kind
	for kind in file-private blocked; do
		case $kind in
		file-private) start_guest $kind --mem 256M --memory $kind ;;
		blocked)
			truncate -s 1M disk
			start_guest $kind --mem 256M -- -drive file="$tmp/disk",if=none,id=d,format=raw -device nvme,drive=d,serial=1
			;;
		esac
		settings >before
		case $kind in
		file-private) refused 'not compatible with guest memory' ;;
		blocked) refused 'nvme' ;;
		esac
	done
}

shmem_kib() { sed -n 's/^RssShmem:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$guest_pid/status"; }

# shellcheck disable=SC2317 # called at the end
leave_group() {
	while read -r pid; do echo "$pid" >"${1%/*}/cgroup.procs"; done <"$1/cgroup.procs"
	rmdir "$1"
}

# Shared memory that the guest has never used: more than the host has, and, where we can make a control
# group, more than that may have
part_allocates() {
	local total group=/sys/fs/cgroup/memory/guestdump-test.$$ before
	total=$(sed -n 's/^MemTotal:[^0-9]*\([0-9]*\) kB/\1/p' /proc/meminfo)
	start_guest large --mem "$((total / 1024 + 512))M" --memory memfd --append mem=256M
	settings >before
	before=$(shmem_kib)
	dump_fails 1 --live
	grep 'cannot take a snapshot of the running guest: the hypervisor would allocate [0-9]* MiB that the guest has never used, and the host has [0-9]* MiB available' dump.err ||
		fail "more memory than the host has: $(cat dump.err)"
	[ "$(shmem_kib)" -lt $((before + 65536)) ] || fail "$(shmem_kib) KiB are allocated, before it were $before"
	check "more memory than the host has"
	"$guest" stop "$guest_dir"
	[ -e /sys/fs/cgroup/memory/cgroup.procs ] || { echo "left out: a control group (needs version 1)"; return; }

	start_guest group --mem 1G --memory memfd
	settings >before
	if ! { mkdir "$group" && echo 100M >"$group/memory.limit_in_bytes" && echo "$guest_pid" >"$group/cgroup.procs"; } 2>/dev/null; then
		rmdir "$group" 2>/dev/null || true
		echo "left out: a control group (needs root, and version 1)"
		return
	fi
	cleanup_fn leave_group "$group"
	before=$(shmem_kib)
	refused "that the guest has never used, and its control group /[^ ]* has [0-9]* MiB available"
	[ "$(shmem_kib)" -lt $((before + 65536)) ] || fail "$(shmem_kib) KiB are allocated, before it were $before"
	echo -1 >"$group/memory.limit_in_bytes"
	"$GUESTDUMP" dump --live -q --force "$guest_source" out.kdump 2>dump.err || fail "without a limit: $(cat dump.err)"
	check "without a limit"
	"$guest" stop "$guest_dir"
}

# QEMU as a user that may not use userfaultfd(2): QEMU says that the kernel cannot do it
part_rights() {
	local qemu
	qemu=$(command -v qemu-system-x86_64)
	if [ "$(id -u)" != 0 ] || [ "$(cat /proc/sys/vm/unprivileged_userfaultfd)" != 0 ]; then
		echo "left out: QEMU of another user (needs root, and vm.unprivileged_userfaultfd=0)"
		return
	fi
	mkdir user
	cat >user/qemu-system-x86_64 <<-WRAPPER
		#!/bin/sh
		chown -R 65534 "$tmp/user/vm"
		exec setpriv --reuid=65534 --regid=65534 --clear-groups $qemu "\$@"
	WRAPPER
	chmod 755 . user user/qemu-system-x86_64
	PATH=$tmp/user:$PATH start_guest user/vm --mem 256M
	settings >before
	refused 'cannot take a snapshot of the running guest: QEMU runs as user 65534, which may not use userfaultfd(2): set sysctl vm.unprivileged_userfaultfd=1'
}

for part; do
	"part_$part"
	echo "$part: ok"
done
