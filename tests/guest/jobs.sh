#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/jobs.sh - dumps that run on by themselves: asked, canceled, completed,
# failed and killed; and the guest runs afterwards
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires python3

start_guest vm --mem 1G
cd "$tmp"
export XDG_RUNTIME_DIR=$tmp/run
mkdir -m 700 run

slow=(-j 1 -C zstd:22)

# shellcheck disable=SC2317 # called at the end
end_jobs() { [ -z "${id:-}" ] || kill -9 "$id" 2>/dev/null; }
cleanup_fn end_jobs

# detach ARGUMENT...: sets $id
detach() {
	id=$(timeout 60 "$GUESTDUMP" dump -q --detach "$@" 2>dump.err </dev/null) ||
		fail "dump --detach $*: $(cat dump.err)"
	[[ $id =~ ^[0-9]+$ ]] || fail "dump --detach says '$id'"
}

# member NAME[.NAME]: of job $id
member() {
	timeout 20 "$GUESTDUMP" jobs --json >jobs.json
	valid_json jobs.json
	python3 - "$id" "$1" <<-'EOF'
		import json, sys
		for job in json.load(open("jobs.json"))["jobs"]:
		    if job["id"] == int(sys.argv[1]):
		        for name in sys.argv[2].split("."):
		            job = job[name] if job else None
		        print("null" if job is None else json.dumps(job) if isinstance(job, (bool, list, dict)) else job)
	EOF
}

# ends STATE: wait until the job has, with this state
ends() {
	local end=$((SECONDS + 120))
	while [ "$(member state)" = active ]; do
		[ $SECONDS -lt $end ] || fail "the job does not end"
		sleep 0.1
	done
	[ "$(member state)" = "$1" ] || fail "state $(member state), not $1: $(member error.message)"
}

runs() {
	local end=$((SECONDS + 20))
	until [ "$(guest_status)" = running ]; do
		[ $SECONDS -lt $end ] || fail "$1: the guest is $(guest_status)"
		sleep 0.1
	done
}

mode() { stat -c %a "$1"; }

test_query() {
	detach "${slow[@]}" "$guest_source" one.kdump
	[ "$(member state)" = active ] || fail "state $(member state)"
	[ "$(member input)" = "$guest_source" ] || fail "guest $(member input)"
	[ "$(member output)" = "$tmp/one.kdump" ] || fail "output $(member output)"
	[ "$(member total)" -ge $((1 << 30)) ] || fail "total $(member total)"
	[ "$(member 'done')" -lt "$(member total)" ] || fail "done $(member 'done')"
	"$GUESTDUMP" jobs | grep -q "^$id  *active  *[0-9]*% of 1.0 GiB  *-  *-  *qmp:.* to .*/one.kdump$" ||
		fail "jobs: $("$GUESTDUMP" jobs)"
	[ "$(mode run/guestdump)" = 700 ] || fail "the folder has mode $(mode run/guestdump)"
	[ "$(mode "run/guestdump/$id.json")" = 600 ] || fail "the file"
	[ "$(mode "run/guestdump/$id.sock")" = 600 ] || fail "the socket"
	[ ! -e one.kdump ] || fail "the output is there before its time"
}

test_cancel() {
	timeout 100 "$GUESTDUMP" cancel "$id" || fail "cancel"
	ends canceled
	[ "$(member error.name)" = canceled ] || fail "error $(member error)"
	[ "$(member error.partial)" = "$tmp/one.kdump.incomplete" ] || fail "error $(member error)"
	[ "$(member was_running)" = true ] || fail "was_running $(member was_running)"
	[ "$(member status)" = 4 ] || fail "status $(member status)"
	[ ! -e one.kdump ] || fail "canceled, but the output is there"
	fails_with 3 "$GUESTDUMP" verify -q one.kdump.incomplete >/dev/null
	[ ! -e "run/guestdump/$id.sock" ] || fail "the socket stays"
	fails_with 1 guestdump_json cancel --json "$id" 2>/dev/null | grep -q '"name":"job-ended"' || fail "job-ended"
	fails_with 1 guestdump_json cancel --json 4000000 2>/dev/null | grep -q '"name":"no-job"' || fail "no-job"
	fails_with 2 "$GUESTDUMP" cancel x 2>/dev/null
	runs "after cancel"
	rm one.kdump.incomplete
}

test_completed() {
	detach --no-checksum "$guest_source" two.kdump
	ends completed
	[ "$(member 'done')" = "$(member total)" ] || fail "completed, but not all is done"
	[ "$(member result.output)" = "$tmp/two.kdump" ] || fail "output: $(member result)"
	[ "$(member result.bytes)" = "$(stat -c %s two.kdump)" ] || fail "size: $(member result)"
	[ "$(member status)" = 0 ] || fail "status $(member status)"
	[ "$(member error)" = null ] || fail "error $(member error)"
	[ "$(member result.paused_seconds)" = "$(member paused_seconds)" ] || fail "pause: $(member result)"
	"$GUESTDUMP" jobs | grep -q "^$id  *completed  *100% of 1.0 GiB  *[0-9]* ms  *[0-9.]* MiB  *qmp:.* to .*/two.kdump$" ||
		fail "jobs: $("$GUESTDUMP" jobs)"
	"$GUESTDUMP" verify -q two.kdump >/dev/null
	runs "completed"
}

# Whoever watches a job sees its events, whether it has ended or not, and ends as it does
test_watch() {
	local status=0
	detach "$guest_source" watched.kdump
	timeout 120 "$GUESTDUMP" jobs --watch "$id" --json >events || status=$?
	[ $status = 0 ] || fail "jobs --watch: exit status $status"
	valid_json events
	[ "$(grep -o '"type":"[a-z]*"' events | uniq | tr -d '\n')" = \
		'"type":"start""type":"progress""type":"pause""type":"done"' ] || fail "events: $(cat events)"
	"$GUESTDUMP" jobs --watch "$id" 2>/dev/null | grep -q "^$id  *completed" || fail "jobs --watch"
	detach "${slow[@]}" "$guest_source" again.kdump
	timeout 120 "$GUESTDUMP" jobs --watch "$id" --json >events &
	sleep 1
	guestdump_json cancel --json "$id" >canceled || fail "cancel --json"
	grep -q '"type":"job","id":'"$id"',"state":"canceled"' canceled || fail "cancel --json: $(cat canceled)"
	wait $! || status=$?
	[ $status = 4 ] || fail "jobs --watch of a job that was canceled: exit status $status"
	valid_json events
	tail -n 1 events | grep -q '"type":"error","name":"canceled"' || fail "events: $(cat events)"
	fails_with 1 "$GUESTDUMP" jobs --watch 4000000 2>/dev/null
	runs "watched"
	rm watched.kdump again.kdump.incomplete
}

test_killed() {
	detach "${slow[@]}" "$guest_source" three.kdump
	kill -9 "$id"
	ends failed
	[ "$(member error.name)" = killed ] || fail "killed: $(member error)"
	[ ! -e "run/guestdump/$id.sock" ] || fail "killed: the socket stays"
	runs "killed"
}

# It never begins: that is told at once, and there is no job.
test_refused() {
	local before
	before=$(ls run/guestdump)
	fails_with 1 "$GUESTDUMP" dump -q --detach --no-checksum "$guest_source" two.kdump 2>dump.err
	grep -q 'already exists' dump.err || fail "$(cat dump.err)"
	fails_with 1 "$GUESTDUMP" dump -q --detach qmp:nowhere four.kdump 2>dump.err
	grep -q nowhere dump.err || fail "$(cat dump.err)"
	fails_with 2 "$GUESTDUMP" dump -q --detach "$guest_source" - 2>/dev/null
	[ "$(ls run/guestdump)" = "$before" ] || fail "jobs that never were: $(ls run/guestdump)"
	mkdir -m 755 open
	mkdir -m 755 open/guestdump
	XDG_RUNTIME_DIR=$tmp/open fails_with 1 "$GUESTDUMP" dump -q --detach "$guest_source" x 2>dump.err
	grep -q 'nobody else' dump.err || fail "$(cat dump.err)"
	runs "refused"
}

test_disk_full() {
	if ! { mkdir full && mount -t tmpfs -o size=8m none full; } 2>/dev/null; then
		echo "left out: a full disk (needs root, and the right to mount)"
		return
	fi
	cleanup_fn umount "$tmp/full"
	detach "${slow[@]}" "$guest_source" full/vm
	ends failed
	[[ $(member error.message) == *"No space left"* ]] || fail "disk full: $(member error)"
	[ "$(member error.name) $(member error.errno) $(member status)" = "no-space ENOSPC 3" ] ||
		fail "disk full: $(member error)"
	runs "disk full"
}

test_forgotten() {
	touch -d '2 days ago' run/guestdump/*.json
	# there may be jobs of others
	! "$GUESTDUMP" jobs | grep -F "$guest_source" || fail "old jobs stay"
	[ "$(ls run/guestdump)" = "" ] || fail "old files stay: $(ls run/guestdump)"
}

test_query
test_cancel
test_completed
test_watch
test_killed
test_refused
test_disk_full
test_forgotten
id=
