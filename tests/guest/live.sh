#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/live.sh PART... - dump --live shows one moment of a guest that writes
# without pause; of one that is halted, all that the usual way shows.
# PART: one of the functions part_* below.  --pid: by QEMU's process, which is not asked.
#
# test: live 600 torn moment formats filtered judged pause equal
# test: live-memfd 600 --full --memory memfd moment equal
# test: live-q35 600 --full --machine q35,max-ram-below-4g=256M moment equal
# test: live-pid 600 --full --pid torn moment formats filtered judged equal
# test: live-pid-memfd 600 --full --pid --memory memfd moment filtered equal
# test: live-gigabytes 1200 --full --filled 524288 moment
# test: live-newer 600 --newer moment filtered mapped equal
# test: live-i386 600 --full --arch i386 equal
# test: live-aarch64 600 --full --arch aarch64 equal
# test: live-s390x 600 --full --arch s390x held
# test: live-ppc64le 600 --full --arch ppc64le held
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# mem: of the guest; filled: pages that stay as they are beside those that change
options=() qemu=() mem=320M filled= by_pid= lost=0
while [ $# -gt 0 ]; do
	case $1 in
	--full) requires_full; shift ;;
	--arch) options=("$1" "$2"); [ "$2" != ppc64le ] || mem=512M; shift 2 ;;
	--memory) options=("$1" "$2"); shift 2 ;;
	--pid) [ "$(id -u)" = 0 ] || skip "needs root"; by_pid=yes lost=3; shift ;;
	--newer) requires_full; newer_qemu; shift ;;
	--filled) filled=$2 mem=3G; shift 2 ;;
	--machine) qemu=(-machine "$2") mem=512M; shift 2 ;;
	*) break ;;
	esac
done

requires /usr/bin/python3 gcc
moment=$root/tests/tools/moment.py
if [ "${options[0]:-}" != --arch ]; then
	guest_program moment
	options+=(--add "$add")
fi
start_guest vm --mem $mem "${options[@]}" -- "${qemu[@]}"
cd "$tmp"
[ -z "$by_pid" ] || guest_source=pid:$guest_pid

# complete COMMAND...: it works, but for the registers of CPUs that only QEMU knows
complete() {
	local status=0
	"$@" 2>complete.err || status=$?
	cat complete.err >&2
	! grep -q 'pages* could not be read' complete.err || return 1
	[ $status = 0 ] || [ $status = $lost ]
}
live() { complete "$GUESTDUMP" dump --live -q --force "$@" 2>live.err || fail "dump --live $*: $(cat live.err)"; }
convert() { complete "$GUESTDUMP" convert -q --force "$@" 2>convert.err || fail "convert $*: $(cat convert.err)"; }
verify() { complete "$GUESTDUMP" verify -q "$1" >verify.out || fail "verify $1: $(cat verify.out)"; }
of_one_moment() { /usr/bin/python3 "$moment" "$@" >moment.out 2>&1; }
goes_on() { [ "$(guest_console 'echo it goes on')" = "it goes on" ] || fail "$1: the guest hangs"; }
settings() { "$guest" qmp "$guest_dir" query-migrate-capabilities query-migrate-parameters; }

# Pages of which each holds the number of the round
begin_writing() {
	[ -z "${writing:-}" ] || return 0
	writing=yes
	GUEST_TIMEOUT=300 guest_console "moment 16384 $filled >/dev/null 2>&1; echo started" >started
	sleep 3
}

# The check can fail: memory that is read without a pause is of no one moment
part_torn() {
	local torn=0
	begin_writing
	for _ in 1 2 3 4 5; do
		of_one_moment --process "$guest_pid" || torn=$((torn + 1))
	done
	[ $torn -gt 0 ] || fail "memory that was read without a pause looks like one moment: $(cat moment.out)"
	echo "without a pause: torn $torn times of 5"
}

part_moment() {
	local i rounds=3
	begin_writing
	settings >before
	[ -z "${GUESTDUMP_FULL:-}" ] || rounds=20
	for i in $(seq $rounds); do
		complete "$GUESTDUMP" dump --live -E --force "$guest_source" live.elf 2>live.err || fail "$(cat live.err)"
		of_one_moment live.elf || fail "round $i: $(cat moment.out)"
		[ -z "$filled" ] || grep -qx "$filled filled pages are as they were" moment.out ||
			fail "round $i: filled pages: $(cat moment.out)"
		grep -E 'pause|stall' live.err
		goes_on "after round $i"
	done
	settings | cmp before - || fail "QEMU's settings are not as they were"
	rm live.elf
}

part_formats() {
	local format
	begin_writing
	for format in kdump raw lime; do
		live -f $format "$guest_source" live.out
		verify live.out
		convert -E live.out again.elf
		of_one_moment again.elf || fail "$format: $(cat moment.out)"
		rm live.out*
	done
	live "$guest_source" - | cat >live.flat
	[ "$(head -c 12 live.flat)" = makedumpfile ] || fail "what goes through a pipe is not flattened"
	live -F -C zstd "$guest_source" live.flat2
	for format in live.flat live.flat2; do
		verify $format
		convert -E $format again.elf
		of_one_moment again.elf || fail "$format: $(cat moment.out)"
	done
	if command -v makedumpfile >/dev/null; then
		makedumpfile -R plain.kdump <live.flat >makedumpfile.out 2>&1 || fail "$(cat makedumpfile.out)"
		verify plain.kdump
	fi
	live -E "$guest_source" - | cat >again.elf
	of_one_moment again.elf || fail "through a pipe: $(cat moment.out)"
	fails_with 2 "$GUESTDUMP" dump --live -q --split 2 "$guest_source" split.kdump 2>split.err
	{ TMPDIR=$tmp/nowhere "$GUESTDUMP" dump --live -q "$guest_source" - 2>nowhere.err || true; } | cat >nowhere.out
	grep -q 'temporary file in .*nowhere: No such' nowhere.err || fail "no folder for a temporary file: $(cat nowhere.err)"
	rm live.flat* again.elf plain.kdump 2>/dev/null || true
	goes_on "other formats"
}

# The plan is of the same moment: no page of a process that runs is missing
part_filtered() {
	begin_writing
	live -d 23 "$guest_source" live.kdump
	"$GUESTDUMP" info live.kdump >about
	grep -q '[1-9][0-9]* omitted (dump level 23)' about || fail "nothing was left out: $(cat about)"
	verify live.kdump
	convert -E live.kdump live.elf
	of_one_moment live.elf || fail "without free pages and cache: $(cat moment.out)"
	rm live.elf
	complete "$GUESTDUMP" dump --live -d 31 --force "$guest_source" live.kdump 2>live.err || fail "$(cat live.err)"
	grep -E 'keeping|pause' live.err
	"$GUESTDUMP" dmesg live.kdump >log
	grep -q 'Linux version' log || fail "no kernel log in the dump of level 31"
	# 64 MiB of a process's memory are not in it
	[ "$(stat -c %s live.kdump)" -lt 40000000 ] || fail "level 31 makes $(stat -c %s live.kdump) bytes"
	goes_on "with a dump level"
	rm live.kdump
}

# What the filter read is of the moment of the dump: by the page structures in the dump, none of
# its pages would be omitted, although the guest takes and frees pages all the time.
part_judged() {
	local i rounds=4
	# shellcheck disable=SC2016 # for the guest's shell
	guest_console 'for k in 1 2; do (while :; do dd if=/dev/zero of=/tmp/f$k bs=1M count=40; cat /tmp/f$k; rm /tmp/f$k; done) >/dev/null 2>&1 & echo $!; done' >churn
	[ -z "${GUESTDUMP_FULL:-}" ] || rounds=20
	for i in $(seq $rounds); do
		live -d 31 "$guest_source" live.kdump
		complete "$GUESTDUMP" convert -d 31 --force live.kdump again.kdump 2>again.err || fail "$(cat again.err)"
		grep -q 'omitting [0-9]* already missing from the input' again.err ||
			fail "round $i: the filter read another moment: $(grep keeping again.err)"
		live -d 31 -E --paging "$guest_source" live.elf
		complete "$GUESTDUMP" convert -d 31 -E --force live.elf again.elf 2>again.err || fail "$(cat again.err)"
		grep -q 'omitting [0-9]* already missing from the input' again.err ||
			fail "round $i: --paging: the filter read another moment: $(grep keeping again.err)"
	done
	goes_on "with a plan of the same moment"
	guest_console "kill $(tr '\r\n' '  ' <churn)" >/dev/null
	rm live.kdump again.kdump live.elf again.elf
}

# pause_of OPTION...: in microseconds, the median of five
pause_of() {
	for _ in 1 2 3 4 5; do
		"$GUESTDUMP" dump --json --force "$@" "$guest_source" pause.out 2>events
		valid_json events
		/usr/bin/python3 -c 'import json
print(round(1e6 * [json.loads(line) for line in open("events")][-1]["paused_seconds"]))'
	done | sort -n | sed -n 3p
}

# not_longer_than_qemu OPTION...: QEMU's own pause for the same snapshot, by its own clock, is the whole one
not_longer_than_qemu() {
	local ours theirs
	for _ in 1 2 3; do
		"$GUESTDUMP" dump --json --force --live "$@" "$guest_source" pause.out 2>events
		ours=$(/usr/bin/python3 -c 'import json
print(round(1e3 * [json.loads(line) for line in open("events")][-1]["paused_seconds"]))')
		theirs=$("$guest" qmp "$guest_dir" query-migrate |
			/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["downtime"])')
		echo "--live $*: pause $ours ms, of QEMU's snapshot $theirs ms"
		[ "$ours" -le $((theirs + 5)) ] || fail "--live $*: a pause of $ours ms, and QEMU's own takes $theirs ms"
	done
}

# A plan costs no pause: QEMU's own is the only one
part_pause() {
	local live plan usual
	not_longer_than_qemu
	not_longer_than_qemu -d 31
	"$GUESTDUMP" dump -vv --live -d 31 --force "$guest_source" live.kdump 2>live.err || fail "$(cat live.err)"
	if grep '"execute":"stop"' live.err; then fail "--live -d 31 pauses the guest itself"; fi
	live=$(pause_of --live) plan=$(pause_of --live -d 31) usual=$(pause_of -d 31)
	echo "median pause in us: --live $live, --live -d 31 $plan, -d 31 $usual, --live -E --paging $(pause_of --live -E --paging)"
	[ "$plan" -lt "$usual" ] || fail "--live -d 31 pauses for $plan us, -d 31 for $usual us"
	[ "$plan" -lt $((live * 3 / 2 + 20000)) ] || fail "--live -d 31 pauses for $plan us, --live for $live us"
	rm live.kdump pause.out
}

# same OPTION...: both ways give the same.  In a kdump the data are in the order in which
# they came, so these are converted.
same() {
	live --no-metadata "$@" "$guest_source" live.out
	complete "$GUESTDUMP" dump -q --no-metadata --force "$@" "$guest_source" usual.out || fail "dump $*"
	if [ "$1" != -E ]; then
		for file in live usual; do
			convert $file.out converted
			mv converted $file.out
		done
	fi
	cmp usual.out live.out || fail "$*: not what the usual way gives"
}

# Registers that cannot be taken out of the stream: the guest is stopped for them
part_held() {
	live "$guest_source" live.kdump
	verify live.kdump
	"$GUESTDUMP" info live.kdump >about
	[ "$(grep -c '^CPU ' about)" = 2 ] || fail "not two CPUs: $(cat about)"
	goes_on "registers of another kind"
}

# QEMU 9 and newer: each page has its place in a file, which a pipe is not
part_mapped() {
	local on='{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "mapped-ram", "state": true}]}}'
	"$guest" qmp "$guest_dir" "$on" >mapped.out || fail "$(cat mapped.out)"
	"$GUESTDUMP" dump --live=try -q "$guest_source" live.out 2>live.err || fail "--live=try: $(cat live.err)"
	grep 'is paused until its memory is read.*mapped-ram is on' live.err || fail "no word of mapped-ram: $(cat live.err)"
	"$guest" qmp "$guest_dir" "${on/true/false}" >mapped.out || fail "$(cat mapped.out)"
	rm live.out
}

# Last, as the guest does nothing any more: its CPUs are halted for good.
part_equal() {
	guest_console 'killall moment 2>/dev/null; sync; (sleep 1; halt -f) >/dev/null 2>&1 &' >halt.out
	timeout 30 sh -c "until grep -q 'System halted' $guest_dir/console.log; do sleep 0.5; done" ||
		fail "the guest does not halt: $(tail -n 3 "$guest_dir/console.log")"
	sleep 1
	same -E
	same -C zlib:1
	[ "${options[0]}" = --arch ] || same -C zlib:1 -d 31
	[ "$(guest_status)" = running ] || fail "the guest is $(guest_status)"
	[ -z "$by_pid" ] || return 0
	"$guest" qmp "$guest_dir" stop >stop.out
	live -E --no-metadata "$guest_source" paused.elf
	[ "$(guest_status)" = paused ] || fail "a paused guest is $(guest_status) after dump --live"
	"$GUESTDUMP" dump -q -E --no-metadata "$guest_source" usual.elf
	cmp paused.elf usual.elf || fail "of a paused guest, --live gives something else"
}

for part; do
	"part_$part"
	echo "$part: ok"
done
