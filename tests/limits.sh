#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/limits.sh - descriptors that are closed, and limits of the process (ulimit)
# test: limits 60
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
tmpdir
cd "$tmp"
head -c 4M /dev/urandom >raw
raw=(--input-format raw --range 0:4M)

# --- closed descriptors: no file of ours gets their number ---

test_closed_descriptors() {
	"$GUESTDUMP" convert -q "${raw[@]}" raw want
	"$GUESTDUMP" convert -q "${raw[@]}" raw got <&- >&- 2>&-
	cmp want got
	fails_with 1 "$GUESTDUMP" convert "${raw[@]}" raw closed.err 2>&- >&- <&- --begin 1G
	[ ! -e closed.err ] || fail "a file without memory"
	for to in - /dev/stdout /dev/fd/1; do
		fails_with 1 "$GUESTDUMP" convert "${raw[@]}" raw $to 2>err >&-
		grep -qx "guestdump: cannot write to standard output: Bad file descriptor" err || fail "$to: $(cat err)"
	done
	fails_with 1 "$GUESTDUMP" info want 2>err >&-
	grep -q "cannot write to standard output" err || fail "info: $(cat err)"
	fails_with 1 "$GUESTDUMP" info - 2>err <&-
	grep -q -- "-: cannot " err || fail "standard input: $(cat err)"
}

test_split_into_a_descriptor() {
	local to
	for to in - /dev/stdout /dev/fd/7; do
		fails_with 2 "$GUESTDUMP" convert --split 2 "${raw[@]}" raw $to 2>err >out 7>&1
		grep -q -e "$to is one stream and cannot be split; name a file" err || fail "$to: $(cat err)"
	done
}

# --- limits, as of ulimit or LimitFSIZE= and LimitCPU= of a service ---

test_file_size() {
	local options status=0
	for options in "" -E "-f raw" "--split 2"; do
		# shellcheck disable=SC2086 # options
		(ulimit -f 512; "$GUESTDUMP" convert $options "${raw[@]}" raw big 2>err) || status=$?
		case $status in
		1 | 3) ;;               # with or without pages in OUTPUT.incomplete
		*) fail "$options: status $status" ;;
		esac
		grep -q "cannot write .*: File too large" err || fail "$options: $(cat err)"
		rm -f big*
	done
	# what is there, and what is not
	for options in "" -E "-f raw"; do
		# shellcheck disable=SC2086 # options
		(ulimit -f 1500; fails_with 3 "$GUESTDUMP" convert $options -j 1 "${raw[@]}" raw big 2>err) || exit
		read -r there missing < <(sed -n 's/.*big.incomplete contains \([0-9]*\) of 1024 pages; the other \([0-9]*\) are .*/\1 \2/p' err)
		[ "${there:-0}" -gt 0 ] && [ $((there + missing)) = 1024 ] || fail "$options: no counts: $(cat err)"
		case $options in
		"") grep -q ' are missing$' err || fail "$(cat err)" ;;
		*) grep -q ' are zero there$' err || fail "$options: $(cat err)" ;;
		esac
		rm -f big*
	done
	# the next level is tried, as on a full disk
	head -c 2M /dev/zero >zero
	cat zero raw >both
	(ulimit -f 512; "$GUESTDUMP" convert -d 0,1 --input-format raw --range 0:6M both big 2>err) || true
	grep -q "File too large; trying level 1" err || fail "levels: $(cat err)"
	rm -f big*
}

test_cpu_time() {
	(ulimit -St 1; fails_with 3 "$GUESTDUMP" convert -C zstd:19 -j 1 --input-format raw --range 0:64M many slow 2>err)
	grep -q "the limit of CPU time for this process is reached (ulimit -t)" err || fail "CPU time: $(cat err)"
}

test_closed_descriptors
test_split_into_a_descriptor
test_file_size
for _ in {1..16}; do cat raw; done >many
test_cpu_time
