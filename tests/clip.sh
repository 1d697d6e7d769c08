#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# --begin and --length: what is in the file of each format is what was asked for
set -euo pipefail
. "$(dirname "$0")/lib.sh"
requires python3
tmpdir

# 16 pages of memory: page n is all n + 1, from 0x10000 on, with a hole of 4 pages in it
python3 - "$tmp/in.elf" <<'P'
import struct, sys
pages = lambda a, b: b"".join(bytes([n + 1]) * 4096 for n in range(a, b))
load = lambda off, paddr, size: struct.pack("<IIQQQQQQ", 1, 7, off, paddr, paddr, size, size, 0)
head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
head += load(4096, 0x10000, 0x8000) + load(4096 + 0x8000, 0x1c000, 0x8000)
open(sys.argv[1], "wb").write(head.ljust(4096, b"\0") + pages(0, 8) + pages(8, 16))
P

# check FORMAT BEGIN LENGTH BYTES PAGES: so many bytes of memory, in so many pages
check() {
	local format=$1 begin=$2 length=$3 bytes=$4 pages=$5
	"$GUESTDUMP" convert -q --force -f "$format" --begin "$begin" --length "$length" \
		"$tmp/in.elf" "$tmp/out"
	guestdump_json info --json "$tmp/out" | python3 -c '
import json, sys
ranges = [(int(r["start"], 16), r["size"]) for r in json.load(sys.stdin)["ranges"]]
got = [sum(size for start, size in ranges), sum((start + size - 1) // 4096 - start // 4096 + 1 for start, size in ranges)]
want = [int(sys.argv[1], 0), int(sys.argv[2])]
got == want or sys.exit(f"{got} instead of {want}")' "$bytes" "$pages" || fail "$*"
	"$GUESTDUMP" verify -q "$tmp/out" >/dev/null
}

for format in kdump elf lime; do
	check $format 0 1M 0x10000 16            # all
	check $format 0x12000 0x3000 0x3000 3    # inside of a range
	check $format 0x16000 0x8000 0x4000 4    # from one range into the other
	check $format 0x1e000 1G 0x6000 6        # to the end
	check $format 0 0x11000 0x1000 1         # from before the beginning
	for where in '0 4K' '0x18000 16K' '0x24000 1G' '0xfffffffffffff000 4K'; do
		read -r begin length <<<"$where"
		fails_with 1 "$GUESTDUMP" convert -q --force -f $format --begin "$begin" \
			--length "$length" "$tmp/in.elf" "$tmp/none" 2>"$tmp/err"
		grep -q 'no memory from' "$tmp/err" || fail "$format $where: $(cat "$tmp/err")"
		[ ! -e "$tmp/none" ] || fail "$format $where: there is a file"
	done
done

# not on page boundaries: ELF has the very bytes, kdump the pages around them
check elf 0x11800 0x1000 0x1000 2
check kdump 0x11800 0x1000 0x2000 2
