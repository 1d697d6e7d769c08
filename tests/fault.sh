#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/fault.sh BUILD - system calls and allocations of a convert that fail, one after
# the other: exit status, message, files and what is left are as promised
#
# test: fault 900 @BUILD@
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

requires /usr/bin/python3
preload=$1/tests/fault/fault-preload.so
[ -e "$preload" ] || skip "needs the GNU C library"
! grep -qs "__asan_init\|__tsan_init\|__gcov_" "$GUESTDUMP" || skip "an instrumented program has calls of its own"
tmpdir
cd "$tmp"

most=--most=6
[ -z "${GUESTDUMP_FULL:-}" ] || most=--most=0

# sweep [--kind KIND]... -- ARGUMENT...
sweep() {
	local kinds=()
	while [ "$1" != -- ]; do kinds+=("$1"); shift; done
	shift
	echo "guestdump $*"
	/usr/bin/python3 "$root/tests/fault/sweep.py" "$most" "${kinds[@]}" "$preload" "$GUESTDUMP" "$@" ||
		failed=1
}
failed=

"$1/tests/golden/mkdump" "$root/tests/golden/good-elf-many-cpus.txt" in.elf
"$1/tests/golden/mkdump" "$root/tests/golden/good-kdump-filtered.txt" in.kdump
"$1/tests/golden/mkdump" "$root/tests/golden/good-flat-kdump-shuffle.txt" in.flat
calls=(--kind enospc --kind eio --kind eintr --kind short --kind emfile)
sweep "${calls[@]}" -- convert -q -j 2 in.elf OUT
sweep "${calls[@]}" -- convert -q -j 1 -E in.kdump OUT
sweep "${calls[@]}" -- convert -q -F -z in.flat OUT
sweep "${calls[@]}" -- convert -q -f lime in.kdump OUT
# not with seccomp, since libseccomp 2.5 frees twice when there is no memory
for input in in.elf in.kdump in.flat; do
	sweep --kind enomem -- convert --no-confine -q -j 2 $input OUT
done
sweep --kind enomem -- convert --no-confine -q -E in.flat OUT

# check_crash STATUS: a crash is whole and has its name, or it has none and a message says why
check_crash() {
	local final=crash/vm/1000000000
	if [ "$1" != 0 ]; then
		[ ! -e $final ] || fail "$FAULT: status $1, and there is $final"
		grep -q '^guestdump: ' err || fail "$FAULT: no message"
	elif [ "$(ls $final)" != $'meta.json\nreport.txt\nvmcore' ] || [ "$(cat $final/vmcore)" != memory ]; then
		fail "$FAULT: it is not whole: $(ls -l $final)"
	fi
	env -u FAULT "$writer" --recover "$tmp/crash/%n/%s" >/dev/null || fail "$FAULT: cannot recover"
	[ -z "$(find . -name '*.incomplete')" ] || fail "$FAULT: $(find . -name '*.incomplete')"
}

test_crashes() {
	local status
	export FAULT FAULT_FILE=$tmp/report
	for FAULT in {enospc,eio,eintr,short,emfile,enomem}:{1..16}; do
		status=0
		head -c 4096 /dev/zero >report
		LD_PRELOAD=$preload "$writer" "$tmp/crash/%n/%s" vm panic 1000000000 report.txt=r vmcore=memory \
			>out 2>err || status=$?
		check_crash $status
		rm -rf crash
	done
}

writer=$1/tests/unit/crash_writer
[ ! -x "$writer" ] || test_crashes
[ -z "$failed" ] || fail "not as promised"
