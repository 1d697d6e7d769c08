#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/wrapped.sh - dumps that were compressed as a whole, and those in tar archives
# test: wrapped 300
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
tmpdir
cd "$tmp"
mkdir spool
export TMPDIR=$tmp/spool

# Text and zeros, so that most bytes of the compressed files matter
{ seq 150000; head -c 1M /dev/zero; seq 1000 9999; } >memory
truncate -s 2M memory
"$GUESTDUMP" convert -q -f elf --no-metadata --no-checksum --input-format raw --range 0:2M memory dump

# reads FILE: the same memory as of the dump
reads() {
	rm -f again
	"$GUESTDUMP" convert -q -f elf --no-metadata --no-checksum "$1" again
	cmp dump again
}

programs=(gzip zstd xz bzip2 lz4)

# each FUNCTION: with each program that is there and what it makes of the dump
each() {
	local program
	for program in "${programs[@]}"; do
		command -v "$program" >/dev/null || { echo "no $program here"; continue; }
		"$program" -c -q <dump >"dump.$program"
		if ! "$GUESTDUMP" info "dump.$program" >out 2>err; then
			grep -q 'install libarchive\|this build is without' err || fail "$program: $(cat err)"
			echo "$program: $(cat err)"
			continue
		fi
		"$1" "$program" || fail "$program: $1"
	done
}

is_the_same() {
	grep -q "compressed with $1$" out || fail "$1: not said: $(cat out)"
	reads "dump.$1" || return 1
	"$GUESTDUMP" verify -q "dump.$1" >/dev/null || return 1
	"$GUESTDUMP" info - <"dump.$1" >/dev/null || return 1
	# shellcheck disable=SC2002 # a pipe cannot seek
	cat "dump.$1" | "$GUESTDUMP" info - >/dev/null
}

test_contents_are_read() { each is_the_same; }

# Two files one after the other are the contents of both
is_joined() {
	head -c 100000 dump | "$1" -c -q >joined
	tail -c +100001 dump | "$1" -c -q >>joined
	reads joined
}

test_members_follow_each_other() { each is_joined; }

is_noticed() {
	local size at
	size=$(stat -c %s "dump.$1")
	for at in 1 2 3 9 $((size / 2)) $((size - 20)) $((size - 1)); do
		head -c "$at" "dump.$1" >short
		fails_with 1 "$GUESTDUMP" convert -q --force short new 2>err
	done
	for at in $(seq 12); do
		python3 - "dump.$1" changed $((size * at / 13)) <<-'END'
			import sys
			data = bytearray(open(sys.argv[1], "rb").read())
			data[int(sys.argv[3])] ^= 0x10
			open(sys.argv[2], "wb").write(data)
		END
		if "$GUESTDUMP" convert -q -f elf --no-metadata --no-checksum --force changed new 2>err; then
			cmp dump new || return 1
		fi
	done
}

test_damage_is_noticed() { each is_noticed; }

test_tar() {
	echo text >note
	tar -cf one.tar note dump
	"$GUESTDUMP" info one.tar | grep -q ', in a tar archive$' || fail "not said"
	reads one.tar
	gzip -c one.tar >one.tgz
	"$GUESTDUMP" info one.tgz | grep -q ', in a tar archive, compressed with gzip$' || fail "not said"
	reads one.tgz
	cp dump other
	tar -cf two.tar dump other
	fails_with 1 "$GUESTDUMP" info two.tar 2>err
	grep -q 'the tar archive has 2 dumps, not one' err || fail "$(cat err)"
	tar -cf none.tar note
	fails_with 1 "$GUESTDUMP" info none.tar 2>err
	grep -q 'the tar archive has 0 dumps' err || fail "$(cat err)"
	head -c 600000 one.tar >cut.tar
	fails_with 1 "$GUESTDUMP" info cut.tar 2>err
	grep -q 'the tar archive ends early' err || fail "$(cat err)"
}

# The memory of a guest may begin like a compressed file.
test_raw_memory_is_not_decompressed() {
	{ echo text | gzip -c; head -c 1M /dev/zero; } >raw
	[ "$("$GUESTDUMP" info --range 0:4K raw | sed -n 's/^memory  *\([^ ]*\) KiB.*/\1/p')" = 4.0 ] ||
		fail "not read: $("$GUESTDUMP" info --range 0:4K raw)"
}

# A file system of 80 MiB, of which 64 remain free
test_space_remains() {
	head -c 60M /dev/urandom | gzip -1 >large.gz
	# shellcheck disable=SC2016 # for the inner shell
	unshare -rm sh -c 'mount -t tmpfs -o size=80M none "$1"' - spool 2>/dev/null ||
		{ echo "no file system can be mounted here"; return; }
	# shellcheck disable=SC2016
	fails_with 1 unshare -rm sh -c 'mount -t tmpfs -o size=80M none "$1" && "$2" info large.gz' \
		- spool "$GUESTDUMP" 2>err
	grep -q 'has no space for the decompressed file' err || fail "$(cat err)"
	[ -z "$(ls spool)" ] || fail "something remains: $(ls spool)"
}

for part in ${1:-$(declare -F | sed -n 's/^declare -f \(test_\)/\1/p')}; do
	"$part"
	echo "$part: ok"
done
