#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/guest/s3.sh - dumps of a real guest that go to S3 while they are taken
# test: guest-s3 400
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
requires python3
start_guest a
cd "$tmp"
export HOME=$tmp AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET/KEY+1 no_proxy=127.0.0.1
unset AWS_SESSION_TOKEN AWS_PROFILE AWS_ENDPOINT_URL_S3

cleanup_fn stop_s3
start_s3

"$GUESTDUMP" convert -q --input-format raw --range 0:4K "$guest_dir/pid" s3://b/probe 2>err ||
	! grep -q 'built without libcurl' err || skip "this guestdump was built without libcurl"

# --- a guest that does not change: the object has the bytes of the file ---

"$guest" qmp "$guest_dir" stop >stop.out
for options in "-d 31" "" "-f elf" "-d 31 --no-direct"; do
	rm -f disk s/b/vm
	# shellcheck disable=SC2086 # several options
	"$GUESTDUMP" dump -q --no-metadata $options "$guest_source" disk 2>err || fail "$options: $(cat err)"
	# shellcheck disable=SC2086
	"$GUESTDUMP" dump -q --no-metadata $options "$guest_source" s3://b/vm 2>err || fail "$options to S3: $(cat err)"
	cmp disk s/b/vm || fail "dump $options: the object is another than the file"
done
"$guest" qmp "$guest_dir" cont >cont.out

# --- one that runs ---

"$GUESTDUMP" dump -q --live=try -d 31 "$guest_source" s3://b/live 2>err || fail "--live: $(cat err)"
"$GUESTDUMP" verify -q s/b/live 2>err || fail "--live: $(cat err)"

# --- the log and a report of it, without reading all of it ---

for object in vm live; do
	for command in dmesg "report -s kernel" info; do
		rm -f s/sent
		# shellcheck disable=SC2086 # a command with an option
		"$GUESTDUMP" $command s3://b/$object >remote 2>err || fail "$command of an object: $(cat err)"
		# shellcheck disable=SC2086
		"$GUESTDUMP" $command s/b/$object >here
		sed -i "s,s3://b/$object,s/b/$object,g" remote here
		diff remote here ||
			fail "$command of an object is another than that of the file"
		sent=$(awk '{ n += $1 } END { print n }' s/sent)
		echo "$command $object: $sent of $(stat -c %s s/b/$object) bytes in $(wc -l <s/sent) requests"
	done
done

# --- a server that does not answer ---

stop_s3
start_s3 hang

# ends PID STATUS: it ends so, soon, and nothing remains
ends() {
	local status=0
	for _ in $(seq 300); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.1
	done
	! kill -0 "$1" 2>/dev/null || fail "it still waits for the server: $(cat err)"
	wait "$1" || status=$?
	[ $status = "$2" ] || fail "status $status: $(cat err)"
	[ -z "$(ls s/uploads)" ] || fail "an upload remains"
	[ ! -e s/b/hang ] || fail "the object is there"
	[ "$(guest_status)" = running ] || fail "the guest is paused"
}

# More than fits in memory: the guest is resumed after --max-pause
"$GUESTDUMP" dump -q -f elf --max-pause 3 "$guest_source" s3://b/hang 2>err &
ends $! 1
grep -q 'longest pause that is allowed' err || fail "--max-pause: $(cat err)"

# All is read and waits for the network: the guest runs, and SIGTERM ends the dump
"$GUESTDUMP" dump -v -d 31 "$guest_source" s3://b/hang 2>err &
pid=$!
for _ in $(seq 300); do
	grep -q 'guest is resumed' err && break
	sleep 0.1
done
sleep 1
[ "$(guest_status)" = running ] || fail "the guest is paused: $(cat err)"
kill $pid || fail "it ended by itself: $(cat err)"
ends $pid 4
