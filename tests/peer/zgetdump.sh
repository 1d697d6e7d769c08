#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/peer/zgetdump.sh [BUILD-DIRECTORY] - what zgetdump makes of a protected guest's dump, we do too
# test: zgetdump 600 @BUILD@
#
# zgetdump runs on s390x only: elsewhere Debian's is run under QEMU's user-mode emulation.
# $ZGETDUMP names another one.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires python3

mkpv=$(realpath -m "${1:-$root/${BUILD:-build}}/tests/pv/mkpv")
[ -x "$mkpv" ] || skip "this build has no OpenSSL"

# the first zgetdump with keys came with s390-tools 2.24, later than Debian 12's
find_zgetdump() {
	local next
	[ -z "${ZGETDUMP:-}" ] || return 0
	ZGETDUMP=$(command -v zgetdump) && return
	for next in '' --next; do
		# shellcheck disable=SC2086 # none or one
		ZGETDUMP=$("$guest" program $next s390x zgetdump s390-tools) || continue
		! has_keys || return 0
	done
	skip "no zgetdump that knows keys can be had here"
}

has_keys() { "$ZGETDUMP" --help 2>&1 | grep -q -e --key; }

tmpdir
find_zgetdump
has_keys || skip "$("$ZGETDUMP" --version | head -n1) does not decrypt"
cd "$tmp"
head -c 32 /dev/urandom >key

# differ A B: they do, but in the words that zgetdump leaves as they are, and nowhere else
differ() {
	python3 - "$@" <<-'PYTHON'
		import struct, sys
		a, b = (open(path, "rb").read() for path in sys.argv[1:])
		assert len(a) == len(b) and a[:4096] == b[:4096]
		count, = struct.unpack(">H", a[93:95])
		for prefix in struct.unpack(">%dI" % count, a[2048:2048 + 4 * count]):
		    at = 4096 + prefix + 0x1324
		    assert a[at:at + 4] != b[at:at + 4]
		    a = a[:at] + b[at:at + 4] + a[at + 4:]
		assert a == b
	PYTHON
}

# same WORD...: of such a machine
same() {
	"$mkpv" plain plain "$@"
	"$mkpv" seal plain key sealed
	for format in elf s390; do
		rm -f theirs.$format ours.$format
		"$ZGETDUMP" -k key -f $format sealed >theirs.$format 2>err || fail "zgetdump: $(cat err)"
		"$GUESTDUMP" convert -q -k key -f $format sealed ours.$format
	done
	cmp ours.elf theirs.elf || fail "$*: another ELF file"
	differ ours.s390 theirs.s390 || fail "$*: another stand-alone dump"
	# and it reads ours
	for file in elf s390; do
		"$ZGETDUMP" -f s390 ours.$file >again 2>err || fail "zgetdump of our $file: $(cat err)"
		cmp -s again ours.s390 || differ ours.s390 again || fail "$*: zgetdump reads our $file otherwise"
	done
}

same 1 1 0:0x400000 prefixes
same 2 3 0:0x800000 prefixes note
same 3 8 0:0x100000 prefixes os-info
same 4 2 0:0x100000 prefixes note os-info-bad
# starts at 16 MiB, where zgetdump's own way of counting pages is ours
same 5 2 0x1000000:0x200000 prefixes
