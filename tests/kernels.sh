#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/kernels.sh - files with two kernels, in their notes or in memory: which one it is
# test: kernels 120

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3
tmpdir
cd "$tmp"

# Memory of 1 MiB with the names of two kernels; "both": and their notes.  ELF cores with these
# notes; the registers of proved.elf's CPU lead to page tables that map the second one.
python3 - <<'END'
import struct
text = lambda release, at: (f"OSRELEASE={release}\nPAGESIZE=4096\nNUMBER(phys_base)=0\n"
    f"SYMBOL(init_uts_ns)=ffffffff800{at:x}\nOFFSET(uts_namespace.name)=0\n").encode()
first, second = text("6.1.0-first", 0x40000), text("5.10.0-second", 0x50000)
def note(name, kind, desc):
    return struct.pack("<III", len(name) + 1, len(desc), kind) + \
        (name + b"\0").ljust(-(-(len(name) + 1) // 4) * 4, b"\0") + desc.ljust(-(-len(desc) // 4) * 4, b"\0")
mem = bytearray(1 << 20)
for at, release in (0x40000, b"6.1.0-first"), (0x50000, b"5.10.0-second"):
    mem[at:at + 5] = b"Linux"
    mem[at + 130:at + 130 + len(release)] = release
# page tables: 0xffffffff80050000 is at 0x50000
for table, index, entry in (0x1000, 511, 0x2001), (0x2000, 510, 0x3001), (0x3000, 0, 0x4001), (0x4000, 0x50, 0x50001):
    struct.pack_into("<Q", mem, table + 8 * index, entry)
cpu = bytearray(440)
struct.pack_into("<Q", cpu, 392, 1 << 31)       # CR0
struct.pack_into("<Q", cpu, 416, 0x1000)        # CR3
def elf(name, memory, notes):
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    head += struct.pack("<IIQQQQQQ", 4, 0, 64 + 112, 0, 0, len(notes), len(notes), 0)
    head += struct.pack("<IIQQQQQQ", 1, 7, 8192, 0, 0, len(memory), len(memory), 0)
    open(name, "wb").write((head + notes).ljust(8192, b"\0") + memory)
both = note(b"VMCOREINFO", 0, first) + note(b"VMCOREINFO", 0, second)
elf("notes.elf", mem, both)
elf("proved.elf", mem, note(b"QEMU", 0, bytes(cpu)) + both)
mem[0x80000:0x80000 + len(note(b"VMCOREINFO", 0, first))] = note(b"VMCOREINFO", 0, first)
mem[0x90000:0x90000 + len(note(b"VMCOREINFO", 0, second))] = note(b"VMCOREINFO", 0, second)
elf("memory.elf", mem, note(b"CORE", 99, b""))
elf("memory-proved.elf", mem, note(b"QEMU", 0, bytes(cpu)))
END

# info FILE WANTED WARNS [OPTION...]: the release of its kernel, and whether a warning names both
info() {
	local file=$1 wanted=$2 warns=$3 got
	shift 3
	got=$(guestdump_json info --json "$@" "$file" 2>err | python3 -c 'import json, sys; print(json.load(sys.stdin)["kernel_release"] or "none")')
	[ "$got" = "$wanted" ] || fail "$file $*: the kernel is $got"
	if grep -q 'two kernels, .*first and .*second\|two kernels, .*second and .*first' err; then
		[ "$warns" = yes ] || fail "$file $*: $(cat err)"
	else
		[ "$warns" = no ] || fail "$file $*: no warning"
	fi
}
info notes.elf 6.1.0-first yes
info notes.elf 5.10.0-second no --kernel 5.10.0-second
info proved.elf 5.10.0-second no
info proved.elf 6.1.0-first no --kernel 6.1.0-first
info memory.elf none yes
info memory.elf 5.10.0-second no --kernel 5.10.0-second
info memory-proved.elf 5.10.0-second no
! "$GUESTDUMP" info --kernel 5.10 notes.elf 2>err || fail "5.10 was found"
grep -q "no VMCOREINFO of a kernel '5.10'" err || fail "$(cat err)"

# the choice is that of the copies too, which have both notes
for form in elf kdump; do
	"$GUESTDUMP" convert -q -f $form --kernel 5.10.0-second notes.elf copy.$form
	info copy.$form 5.10.0-second yes
	info copy.$form 6.1.0-first no --kernel 6.1.0-first
done
"$GUESTDUMP" convert -q -f kdump proved.elf proved.kdump
info proved.kdump 5.10.0-second no
