#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/checksum.sh - one bit of a dump flips, anywhere: verify finds it
# test: checksum 600

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3
tmpdir
cd "$tmp"

# zeros, text and noise, in two ranges
python3 - <<'END'
import random
random.seed(1)
with open("raw", "wb") as f:
    for i in range(600):
        f.write([bytes(4096), b"all work and no play " * 195 + b"x", random.randbytes(4096)][i % 3])
END
convert() { "$GUESTDUMP" convert -q --input-format raw --range 0:1M --range 4M:1376K@1M raw "$@"; }
verify() { "$GUESTDUMP" verify -q "$@" >out 2>&1; }

# flips FILE [INPUT...]: in FILE; the inputs are what is verified (default: FILE)
flips() {
	local file=$1
	[ $# = 1 ] || shift
	python3 - "$GUESTDUMP" "$file" "$@" <<'END'
import os, random, subprocess, sys
guestdump, name, *inputs = sys.argv[1:]
size = os.path.getsize(name)
random.seed(name)
# the edges, and places all over
places = {0, 8, 4096, size - 1, size - 8, size - 30, size - 64, size - 65, size - 200}
places |= {random.randrange(size) for i in range(60)}
missed = []
with open(name, "r+b", buffering=0) as f:
    # what nobody looks at: zeros behind the header of the flattened form
    if f.read(12) == b"makedumpfile":
        places = {p for p in places if not 32 <= p < 4096}
    for place in sorted(places):
        f.seek(place)
        old = f.read(1)
        f.seek(place)
        f.write(bytes([old[0] ^ 1 << random.randrange(8)]))
        status = subprocess.run([guestdump, "verify", "-q", *inputs], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL).returncode
        if status not in (1, 2, 3):
            missed.append((place, status))
        f.seek(place)
        f.write(old)
print(f"{name}: {len(places)} flips, {len(missed)} missed {missed[:5]}")
sys.exit(bool(missed))
END
	verify "$@" || fail "$*: not good after all: $(cat out)"
}

for codec in zlib lzo snappy zstd none; do
	"$GUESTDUMP" list | grep -q "^  $codec .*not in this build" && continue
	convert -C $codec kdump-$codec
	verify kdump-$codec || fail "$(cat out)"
	grep -q 'checksum valid' out || fail "$(cat out)"
done
convert -E elf
convert -F flat
convert --split 2 part
flips kdump-zlib
flips kdump-none
flips elf
flips flat
flips part-2 part-1 part-2

# salvages FILE MAX [INPUT...]: one byte of a page is changed: verify names memory that has the
# page, at most MAX pages of it, and convert writes all others, with --salvage and without
salvages() {
	local file=$1 max=$2
	shift 2
	[ $# -gt 0 ] || set -- "$file"
	PYTHONPATH=$root/tests/tools /usr/bin/python3 -B - "$GUESTDUMP" "$file" "$max" "$@" <<'END'
import json, os, random, subprocess, sys, valid_json
guestdump, name, most, *inputs = sys.argv[1:]
PAGE = 4096
raw = open("raw", "rb").read()
place = lambda paddr: paddr if paddr < 1 << 20 else paddr - (3 << 20)
paddrs = [*range(0, 1 << 20, PAGE), *range(4 << 20, (4 << 20) + (1376 << 10), PAGE)]
for attempt in range(6):
    data = bytearray(open(name, "rb").read())
    random.seed(attempt)
    # behind all headers, before the checksum
    at = random.randrange(len(data) // 3, len(data) * 9 // 10)
    old = data[at]
    data[at] ^= 1 << random.randrange(8)
    open(name, "wb").write(data)
    v = subprocess.run([guestdump, "verify", "-q", "--json", *inputs], stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL)
    problems = valid_json.check(v.stdout.decode())
    assert not problems, problems
    verdict = json.loads(v.stdout)
    damaged = [(int(r["start"], 16), r["size"]) for r in verdict["damaged"]]
    lost = {p for start, size in damaged for p in paddrs if start < p + PAGE and p < start + size}
    assert v.returncode == 1 and not verdict["tables_damaged"], (name, at, verdict)
    assert 1 <= len(lost) <= int(most), (name, at, verdict["damaged"])
    ways = [["--salvage", "-felf"], ["-felf"], ["-fkdump"], ["-fkdump", "-Cnone"]]
    for options in ways[attempt % 4], ways[(attempt + 1) % 4]:
        c = subprocess.run([guestdump, "convert", "-q", "--force", *options, *inputs, "saved"],
                           stderr=subprocess.PIPE, text=True)
        assert c.returncode == 3 and f"{len(lost)} page" in c.stderr, (name, at, options, lost, c)
        subprocess.run([guestdump, "convert", "-q", "--force", "-f", "raw", "saved", "back"],
                       stderr=subprocess.DEVNULL)
        back = open("back", "rb").read().ljust(8 << 20, b"\0")
        for p in paddrs:
            want = bytes(PAGE) if p in lost else raw[place(p):place(p) + PAGE]
            assert back[p:p + PAGE] == want, (name, at, options, hex(p))
    data[at] = old
    open(name, "wb").write(data)
print(f"{name}: what is not damaged is salvaged")
END
}
salvages elf 1
salvages kdump-none 3
salvages flat 60
salvages part-2 60 part-1 part-2
[ ! -e kdump-lzo ] || salvages kdump-lzo 60

# without: as good for everybody else, and verify says so
convert -C none --no-checksum bare
verify bare
grep -q 'no checksum' out || fail "$(cat out)"
# the header of the other file says that it has one, in the last bytes of its block
[ "$(cmp -n "$(stat -c %s bare)" -l bare kdump-none | awk '{ print $1 }' | xargs)" = "4093 4094 4095 4096" ] ||
	fail "more than the mark differs"

# a checksum that is gone, or followed by other bytes, is missed
for name in kdump-none kdump-zlib elf; do
	cp $name cut
	truncate -s -64 cut
	! verify cut || fail "$name: the checksum is cut off, and nobody misses it"
	cp $name longer
	head -c 512 /dev/urandom >>longer
	! verify longer || fail "$name: the checksum is not at the end, and nobody misses it"
done
grep -q 'checksum that the header announces\|none of them names' out || fail "$(cat out)"

# headers are damaged, or the end of the checksum is: all is written, but marked
for place in 200 $(($(stat -c %s elf) - 3)) $(($(stat -c %s elf) - 70)); do
	cp elf headers
	printf '\377' | dd of=headers bs=1 seek="$place" conv=notrunc status=none
	for salvage in "" --salvage; do
		status=0
		"$GUESTDUMP" convert -q ${salvage:+--salvage} -f elf headers saved --force 2>out || status=$?
		[ $status = 3 ] || fail "damaged headers: status $status: $(cat out)"
		grep -q 'headers or tables of headers are damaged' out || fail "$(cat out)"
	done
done

# a page became a hole, as after a crash of the host
cp --sparse=never elf holed
fallocate --punch-hole --offset 8192 --length 4096 holed 2>/dev/null || echo "no holes can be punched here"
if ! cmp -s elf holed; then
	status=0
	"$GUESTDUMP" convert -q -f elf holed saved --force 2>out || status=$?
	[ $status = 3 ] || fail "a hole: status $status: $(cat out)"
fi


# lost pages are reported in the same way whatever is written, and marked where that is possible
cp kdump-none hurt
printf 'XYZ' | dd of=hurt bs=1 seek=1000000 conv=notrunc status=none
for options in "-f kdump" "-F" "-f elf" "-f lime" "-f raw"; do
	status=0
	# shellcheck disable=SC2086
	"$GUESTDUMP" convert -q --force $options hurt saved 2>out || status=$?
	[ $status = 3 ] || fail "$options: status $status: $(cat out)"
	case $options in
	"-f kdump" | -F) grep -q 'missing from saved; the first' out || fail "$options: $(cat out)" ;;
	*) grep -q 'zero in saved; the first' out || fail "$options: $(cat out)" ;;
	esac
	! grep -q 'nothing in saved' out || fail "$options: $(cat out)"
	status=0
	"$GUESTDUMP" verify -q saved >out 2>&1 || status=$?
	[ $status = 3 ] || fail "$options: verify: status $status: $(cat out)"
	grep -q '^saved: incomplete: ' out || fail "$options: $(cat out)"
	rm saved*
done
status=0
"$GUESTDUMP" convert -q -f elf hurt - 2>out | cat >saved || status=$?
[ $status = 3 ] || fail "ELF to a pipe: status $status: $(cat out)"
grep -q 'nothing in standard output says that it is incomplete' out || fail "$(cat out)"

# without a checksum there is less to salvage by
"$GUESTDUMP" convert -q --force --salvage bare saved 2>out || fail "$(cat out)"
grep -q 'bare has no checksum' out || fail "$(cat out)"

# other formats have no place for it
convert -f lime lime
verify lime
grep -q 'no checksum' out || fail "$(cat out)"

# what reads memory to show it compares it as well: a kernel's log, on pages of its own
python3 - <<'PY'
import struct
text = ("SYMBOL(swapper_pg_dir)=ffffffff80001000\nNUMBER(phys_base)=0\nPAGESIZE=4096\nOSRELEASE=4.19.0\n"
        "SYMBOL(log_buf)=ffffffff80007000\nSYMBOL(log_buf_len)=ffffffff80007008\n"
        "SYMBOL(log_first_idx)=ffffffff8000700c\nSYMBOL(log_next_idx)=ffffffff80007010\n"
        "SIZE(printk_log)=16\nOFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\n"
        "OFFSET(printk_log.text_len)=10\n").encode()
note = struct.pack("<III", 11, len(text), 0) + b"VMCOREINFO\0\0" + text.ljust(-(-len(text) // 4) * 4, b"\0")
memory = bytearray(1 << 20)
for table, index, entry in (0x1000, 511, 0x2001), (0x2000, 510, 0x3001), (0x3000, 0, 0x4001):
    struct.pack_into("<Q", memory, table + 8 * index, entry)
for page in range(256):
    struct.pack_into("<Q", memory, 0x4000 + 8 * page, page << 12 | 1)
record = struct.pack("<QHHHBB", 1000, 48, 30, 0, 0, 6 << 5) + b"a line of the log as it was .."
struct.pack_into("<QIII", memory, 0x7000, 0xffffffff80008000, 4096, 0, 48)
memory[0x8000:0x8000 + len(record)] = record
head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
head += struct.pack("<IIQQQQQQ", 4, 0, 176, 0, 0, len(note), len(note), 0)
head += struct.pack("<IIQQQQQQ", 1, 7, 8192, 0, 0, len(memory), len(memory), 0)
open("kernel", "wb").write((head + note).ljust(8192, b"\0") + memory)
PY
"$GUESTDUMP" convert -q -f elf kernel kernel.elf
"$GUESTDUMP" dmesg kernel.elf | grep -q 'a line of the log as it was' || fail "no log"
place=$(grep -abo 'as it was' kernel.elf | cut -d: -f1)
printf 'was it' | dd of=kernel.elf bs=1 seek="$place" conv=notrunc status=none
fails_with 1 "$GUESTDUMP" dmesg kernel.elf >out 2>err
grep -q "checksum mismatch in bytes" err || fail "a line that was changed: $(cat err out)"
! grep -q "was it" out || fail "a line that was changed is shown: $(cat out)"
"$GUESTDUMP" convert -q -f elf --no-checksum --force kernel kernel.elf
printf 'was it' | dd of=kernel.elf bs=1 seek="$(grep -abo 'as it was' kernel.elf | cut -d: -f1)" conv=notrunc status=none
"$GUESTDUMP" dmesg kernel.elf | grep -q 'was it' || fail "without a checksum nobody knows"
