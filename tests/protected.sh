#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/protected.sh [BUILD-DIRECTORY] - encrypted dumps of protected guests
# test: protected 300 @BUILD@
#
# mkpv encrypts plain cores as the firmware would; what is decrypted must be what went in.

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3

mkpv=$(realpath -m "${1:-$root/${BUILD:-build}}/tests/pv/mkpv")
[ -x "$mkpv" ] || skip "this build has no OpenSSL"
# every output is synced to disk, so better have none
tmp=$(mktemp -d /dev/shm/gd.XXXXXX 2>/dev/null || mktemp -d /tmp/gd.XXXXXX)
cleanup_fn rm -rf "$tmp"
cd "$tmp"
printf 'the key of the owner is 32 bytes' >key
printf 'another key of somebody, 32 byte' >other

# says TEXT: the last command that was run by "try" has said it
try() { "$GUESTDUMP" "$@" >out 2>&1; }
says() { grep -qF -- "$*" out || fail "'$*' is not said, but: $(cat out)"; }

registers() { "$GUESTDUMP" info -r "$1" | sed -n '/^CPU/,$p'; }

# same CHANGE...: what is decrypted of "plain" equals it, in all formats and codecs
same() {
	local codec threads
	rm -f sealed
	"$mkpv" seal plain key sealed "$@"
	"$GUESTDUMP" convert -q --force -f raw plain plain.raw
	for threads in 1 8; do
		"$GUESTDUMP" convert -q --force -k key -f elf -j $threads sealed sealed.$threads
	done
	cmp sealed.1 sealed.8 || fail "$*: the bytes depend on the number of threads"
	"$GUESTDUMP" convert -q --force -f raw sealed.1 sealed.raw
	cmp plain.raw sealed.raw || fail "$*: other memory"
	diff <(registers plain) <(registers sealed.1) || fail "$*: other registers"
	for codec in none $codecs; do
		"$GUESTDUMP" convert -q --force -C "$codec" plain plain.kdump
		"$GUESTDUMP" convert -q --force -k key -C "$codec" sealed sealed.kdump
		cmp plain.kdump sealed.kdump || fail "$*: other kdump with $codec"
	done
	"$GUESTDUMP" convert -q --force -k key -f lime sealed sealed.lime
	"$GUESTDUMP" convert -q --force -f lime plain plain.lime
	cmp plain.lime sealed.lime || fail "$*: other LiME"
	"$GUESTDUMP" convert -q -k key -F sealed - | cmp - <("$GUESTDUMP" convert -q -F plain -) ||
		fail "$*: other flattened kdump"
	"$GUESTDUMP" verify -q --key key --strict sealed >out || fail "$*: verify does not like it"
}

test_one_range() {
	codecs=$("$GUESTDUMP" list | awk '/^[^ ]/ { on = /^codecs/; next } on && !/not in this build/ { print $1 }')
	"$mkpv" plain plain 1 1 0:0x800000
	same
	same dotted early
	same host-order
	same no-host-notes
}

test_memory_elsewhere() {
	codecs=zlib
	"$mkpv" plain plain 2 8 0x1000000:0x600000
	same
	same early
	"$mkpv" plain plain 3 2 0x1000000:0x200000 0x8000000:0x100000 0x200000000:0x300000
	same
	same reverse
	"$mkpv" plain plain 4 2 0:0x200000 0x1000000:0x100000
	same
	same by-address 2>out
	try info -k key sealed
	says "assuming the order of addresses"
}

# What the kernel says of itself is found in decrypted memory: where the lowcore says, if all
# sums there are right, or else where a note is.
test_vmcoreinfo() {
	local words found
	while read -r found words; do
		# shellcheck disable=SC2086 # words
		"$mkpv" plain plain 1 1 0:0x100000 $words
		"$mkpv" seal plain key sealed
		try info -k key sealed
		[ "$(grep -c '^vmcoreinfo  57 bytes' out)" = "$found" ] || fail "$words: $(cat out)"
		try info sealed
		! grep -q '^vmcoreinfo  57' out || fail "$words: without a key"
		try info plain
		[ "$(grep -c '^vmcoreinfo  57 bytes' out)" = "$found" ] || fail "$words, plain: $(cat out)"
	done <<-'TEXT'
		1 note
		1 os-info
		1 note os-info-bad
		1 note os-info-text-bad
		0 os-info-bad
		0 os-info-text-bad
	TEXT
}

# A stand-alone dump has the registers in memory: all but those of guarded storage come back.
test_s390() {
	"$mkpv" plain plain 1 3 0:0x400000 0x1000000:0x100000 prefixes
	"$mkpv" seal plain key sealed
	for threads in 1 8; do
		"$GUESTDUMP" convert -q --force -k key -f s390 -j $threads sealed s390.$threads
	done
	cmp s390.1 s390.8 || fail "s390: the bytes depend on the number of threads"
	"$GUESTDUMP" convert -q --force -f s390 plain plain.s390
	cmp plain.s390 s390.1 || fail "s390: a plain dump becomes another one"
	"$GUESTDUMP" verify -q s390.1 >out || fail "s390: verify: $(cat out)"
	# CPU 1 has no place for vector registers
	for cpu in 0 2; do
		diff <(one_cpu $cpu plain | grep -v '^  guarded') <(one_cpu $cpu s390.1) || fail "s390: CPU $cpu"
	done
	diff <(one_cpu 1 plain | sed '/^  vec_low/,$d') <(one_cpu 1 s390.1) || fail "s390: CPU 1"
	"$mkpv" plain plain 1 1 0:0x100000
	try convert --force -f s390 plain output
	says "the registers of 1 of 1 CPUs are missing from output"
	fails_with 3 try convert --force -f elf output again
	says "the registers of 1 of 1 CPUs could not be read"
	"$mkpv" plain plain 1 513 0:0x100000
	fails_with 1 try convert --force -q -f s390 plain output
	says "has room for 512 CPUs only"
	rm -f output again
}

one_cpu() { registers "$2" | sed -n "/^CPU $1/,/^CPU $(($1 + 1))/p" | sed '1n;/^CPU/d'; }

test_info() {
	"$mkpv" plain plain 1 2 0:0x400000
	"$mkpv" seal plain key sealed
	try info sealed
	says "of a protected guest, encrypted"
	says "2 CPUs"
	says "pages       708 encrypted, 110 shared, 206 zero, 0 invalid"
	says "CPU 1       encrypted"
	try info -r -k key sealed
	grep -v "^protected\|^pages\|^sealed" out >decrypted
	"$GUESTDUMP" info -r plain | grep -v ^plain | diff - decrypted || fail "info differs"
	guestdump_json info --json sealed | python3 -c '
import json, sys
p = json.load(sys.stdin)["protection"]
assert (p["kind"], p["version"], p["decrypted"]) == ("IBM Secure Execution", 1, False), p
assert (p["encrypted"], p["shared"], p["zero"], p["invalid"]) == (708, 110, 206, 0), p'
	try info -k key plain
	says "no key is needed"
}

# No ciphertext is ever taken for memory.
test_without_key() {
	local changes
	for changes in "" no-compl no-meta "no-compl no-meta" "no-areas" "no-areas no-compl"; do
		# shellcheck disable=SC2086 # words
		"$mkpv" seal plain key sealed $changes
		for command in "convert -f elf" "convert -f kdump" "convert -f raw" "convert --dry-run" \
			verify dmesg; do
			# shellcheck disable=SC2046,SC2086 # words
			fails_with 5 try $command sealed $([[ $command != convert* ]] || echo output)
			! compgen -G 'output*' >/dev/null || fail "$command: something was written"
		done
		case $changes in
		*no-[cm]*) says "can never be decrypted, because section pv_" ;;
		*) says "give the customer communication key" ;;
		esac
		try info sealed || fail "info fails: $(cat out)"
	done
	"$mkpv" seal plain key sealed no-compl
	fails_with 5 try convert -k key sealed output
	says "section pv_compl is missing"
}

test_wrong_keys() {
	"$mkpv" seal plain key sealed
	fails_with 5 try convert -k other sealed output
	says "this is not the key of this dump, or section pv_compl"
	{ cat key; echo; } >newline
	fails_with 5 try info -k newline sealed
	says "such as a newline at the end"
	head -c 31 key >short
	fails_with 5 try info -k short sealed
	says "has 32 bytes, and the file has 31"
	fails_with 1 try info -k missing sealed
	says "key file missing: No such file"
	fails_with 1 try info -k . sealed
	fails_with 2 try info -k
	"$GUESTDUMP" info -k <(cat key) sealed >out || fail "a key from a pipe"
	for word in "the key of the owner" "another key"; do
		! grep -qF "$word" out || fail "the key is shown"
	done
}

# broken CHANGE STATUS TEXT
broken() {
	"$mkpv" seal plain key sealed "$1"
	fails_with "$2" try convert --force -q -k key sealed output
	says "$3"
}

test_broken_sections() {
	broken meta-short 1 "pv_mem_meta has 16368 bytes, and the segments need 16384"
	broken meta-past 1 "section pv_mem_meta: 4611686018427387904 bytes at offset"
	broken compl-past 1 "section pv_compl: 288 bytes at offset 18446744073709551515 exceed the file"
	broken compl-short 1 "section pv_compl (completion data): 200 bytes instead of 288"
	broken compl-version 1 "version 2 is unknown"
	broken compl-length 1 "its length field is 304 instead of 288"
	broken compl-tag 5 "this is not the key of this dump, or section pv_compl"
}

# A CPU that is lost is zero and told; the other one is as it was.
test_lost_cpus() {
	local change text
	"$GUESTDUMP" info -r plain | sed -n '/^CPU 0/,/^CPU 1/p' | sed '$d' >cpu0
	while read -r change text; do
		"$mkpv" seal plain key sealed "$change=1"
		fails_with 3 try convert --force -q -k key sealed output
		says "CPU 1: $text"
		says "1 of 2 CPUs could not be read"
		"$GUESTDUMP" info -r output | sed -n '/^CPU 0/,/^CPU 1/p' | sed '$d' | diff cpu0 - ||
			fail "$change: CPU 0 is not what it was"
		"$GUESTDUMP" info output | grep -q '^CPU 1 *psw_addr 0000000000000000' ||
			fail "$change: CPU 1 is not zero"
		fails_with 1 try convert --force -q --strict -k key sealed output
		fails_with 1 try verify -q -k key sealed
	done <<-'TEXT'
		cpu-damaged its area is damaged: the tag is wrong
		cpu-empty its area is empty
		cpu-missing it has no area
		cpu-version version 7 of its area is unknown
		cpu-short its area has 1500 bytes instead of 1568
	TEXT
	"$mkpv" seal plain key sealed cpu-partial=1
	try convert --force -q -k key sealed output || fail "cpu-partial: status $?"
	says "CPU 1 stopped inside an instruction"
}

test_invalid_pages() {
	"$mkpv" seal plain key sealed state=0x3000:0x0007
	fails_with 3 try convert --force -q -k key -f elf sealed output
	says "1 page could not be read"
	says "page at 0x3000: section pv_mem_meta gives it the invalid state 0x0007"
	try info output
	says "INCOMPLETE"
	try info sealed
	says "1 invalid"
	fails_with 1 try verify -q -k key sealed
	says "1 page is broken; the first: page at 0x3000"
	fails_with 1 try convert --force -q -k key --strict sealed output
	says "gives 1 page an invalid state; the first is at 0x3000"
}

# killed_core ARGUMENT...: whether guestdump leaves a core file when it is killed while it
# waits for the FIFO
killed_core() {
	local pid
	rm -f core*
	(ulimit -c unlimited && exec "$GUESTDUMP" "$@" >out 2>&1) &
	pid=$!
	sleep 0.5
	kill -ABRT $pid
	wait $pid 2>/dev/null || true
	compgen -G 'core*' >/dev/null
}

test_no_core_file() {
	mkfifo pipe
	killed_core info pipe || return 0       # not here, whatever the program does
	! killed_core info -k pipe sealed || fail "a process with a key leaves a core file"
}

test_one_range
test_memory_elsewhere
test_vmcoreinfo
test_s390
test_info
test_without_key
test_wrong_keys
test_broken_sections
test_lost_cpus
test_invalid_pages
test_no_core_file
