# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# For tests in shell: ". tests/lib.sh" by whatever path, after "set -euo pipefail".
# A test exits with 0 (passed), 77 (skipped: something is missing here) or anything
# else (failed).
#
#   requires TOOL...         skip if one of them is not installed
#   requires_full            skip unless this is "make test-full"
#   skip MESSAGE, fail MESSAGE
#   cleanup_fn FUNCTION...   call it when the test ends, however it ends; last one first
#   tmpdir                   sets $tmp, an own directory that goes away by itself
#   start_guest NAME [OPTION...]
#                            boots a guest (options: scripts/guest --help) that is stopped by
#                            itself; sets guest_dir, guest_qmp, guest_pid and guest_source
#   newer_qemu               start_guest takes QEMU of Debian's next release from now on
#   guest_console COMMAND    in the guest that was started last
#   guest_status             what QEMU says of it: running, paused ...
#   fails_with STATUS COMMAND...
#                            fail unless COMMAND ends with exactly STATUS
#
#   valid_json FILE...       fail unless each line is an object of guestdump-1.schema.json
#   guestdump_json ARGUMENT...
#                            guestdump, whose standard output has to be valid JSON
#
#   start_s3 [FAULT]         an S3 server with an empty bucket "b", whose files are in s/ in the working
#                            directory; sets server, its process, and AWS_ENDPOINT_URL
#   stop_s3
#
#   $GUESTDUMP               the program under test
#   $root                    the source tree

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
GUESTDUMP=${GUESTDUMP:-$root/build/tool/guestdump}
export GUESTDUMP
guest=$root/scripts/guest

skip() { echo "SKIP: $*"; exit 77; }
# on both, since a test often sends one of them into a file of its own when something fails
fail() {
	echo "FAIL: $*"
	[ /dev/stdout -ef /dev/stderr ] || echo "FAIL: $*" >&2
	exit 1
}

requires() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip "needs $tool"
	done
}

requires_full() { [ -n "${GUESTDUMP_FULL:-}" ] || skip "only in make test-full"; }

_cleanups=()
cleanup_fn() { _cleanups=("$*" "${_cleanups[@]}"); }

_cleanup() {
	local status=$? call
	trap '' INT TERM HUP
	set +e
	for call in "${_cleanups[@]}"; do $call; done
	exit $status
}
trap _cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# short, because of the limit on socket paths
tmpdir() {
	[ -n "${tmp:-}" ] && return
	tmp=$(mktemp -d /tmp/gd.XXXXXX)
	cleanup_fn rm -rf "$tmp"
}

# guest_program NAME: compile tests/guest/NAME.c for a guest, into $add/bin; "--add $add" takes it
# along
guest_program() {
	tmpdir
	add=$tmp/add
	mkdir -p "$add/bin"
	gcc -static -O1 -o "$add/bin/$1" "$root/tests/guest/$1.c" 2>"$tmp/gcc.err" ||
		skip "no static libc to compile a program for the guest"
}

start_guest() {
	local name=$1 status=0
	shift
	tmpdir
	guest_dir=$tmp/$name
	cleanup_fn "$guest" stop "$guest_dir"
	# --owner: meson gives a test half a second to end before it kills it
	"$guest" start "$guest_dir" --owner $$ "$@" || status=$?
	case $status in
	0) ;;
	3) skip "this machine cannot boot the guest" ;;
	*) fail "guest $name did not start" ;;
	esac
	guest_qmp=$guest_dir/qmp
	guest_pid=$(cat "$guest_dir/pid")
	# shellcheck disable=SC2034 # for the tests
	guest_source=qmp:$guest_qmp
	export guest_qmp guest_pid
}

newer_qemu() {
	local program tree
	program=$("$guest" program --next x86_64 qemu-system-x86_64 qemu-system-x86 seabios) ||
		skip "a newer QEMU is not to be had here"
	tree=$(dirname "$program")
	tmpdir
	mkdir -p "$tmp/bin"
	cat >"$tmp/bin/qemu-system-x86_64" <<-WRAPPER
		#!/bin/sh
		export QEMU_MODULE_DIR=$tree/usr/lib/x86_64-linux-gnu/qemu
		exec $program -L $tree/usr/share/qemu -L $tree/usr/share/seabios "\$@"
	WRAPPER
	chmod 755 "$tmp/bin/qemu-system-x86_64"
	PATH=$tmp/bin:$PATH
	qemu-system-x86_64 --version | head -n 1
}

guest_console() { "$guest" console "$guest_dir" "$@"; }

guest_status() {
	"$guest" qmp "$guest_dir" query-status |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["status"])'
}

fails_with() {
	local want=$1 status=0
	shift
	"$@" || status=$?
	[ $status = "$want" ] || fail "exit status $status instead of $want: $*"
}

valid_json() { /usr/bin/python3 "$root/tests/tools/valid_json.py" "$@" || fail "this JSON is not valid"; }

start_s3() {
	stop_s3
	rm -rf s
	mkdir -p s/b s/open
	/usr/bin/python3 "$root/tests/tools/s3server.py" s "$@" 2>server.err &
	server=$!
	for _ in $(seq 200); do
		[ -e s/port ] && break
		sleep 0.1
	done
	[ -e s/port ] || fail "the server did not start: $(cat server.err)"
	AWS_ENDPOINT_URL=http://127.0.0.1:$(cat s/port)
	export AWS_ENDPOINT_URL
}

stop_s3() {
	[ -n "${server:-}" ] || return 0
	kill "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
	server=
}

guestdump_json() {
	local status=0 out
	out=$(mktemp "$tmp/json.XXXXXX")
	"$GUESTDUMP" "$@" >"$out" || status=$?
	valid_json "$out"
	cat "$out"
	rm "$out"
	return $status
}
