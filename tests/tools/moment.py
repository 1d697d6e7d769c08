#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""Whether memory is of one moment: tests/guest/moment.c runs in the guest.

moment.py ELF            a dump
moment.py --process PID  QEMU's own memory, read while the guest writes to it

Exit status: 0 it is of one moment, 1 it is not, 2 the copies are not all there.
Knows nothing of guestdump.
"""

import os
import re
import struct
import sys

PAGE = 4096
CHUNK = 1 << 20
MAGIC = b"TESTDUMP.MOMENT.COPY.OF.A.COUNT\0"
FILLED = b"TESTDUMP.PAGE.THAT.IS.FILLED.OK\0"


def elf_memory(path):
    """(file, offset, size) of the segments of a 64-bit little-endian core."""
    file = open(path, "rb", buffering=0)
    head = file.read(64)
    if head[:6] != b"\x7fELF\2\1":
        sys.exit("moment: %s is no ELF file of 64 bits" % path)
    phoff, = struct.unpack_from("<Q", head, 32)
    phentsize, phnum = struct.unpack_from("<HH", head, 54)
    for i in range(phnum):
        entry = os.pread(file.fileno(), 56, phoff + i * phentsize)
        kind, _, off, _, paddr, filesz, _, _ = struct.unpack("<IIQQQQQQ", entry)
        if kind == 1 and paddr % PAGE == 0:
            yield file, off, filesz


def process_memory(pid):
    """The largest mapping is the guest's RAM."""
    best = (0, 0)
    with open("/proc/%s/maps" % pid, encoding="latin-1") as maps:
        for line in maps:
            match = re.match("([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match:
                start, end = (int(x, 16) for x in match.groups())
                best = max(best, (end - start, start))
    size, start = best
    yield open("/proc/%s/mem" % pid, "rb", buffering=0), start, size


def find_copies(memory):
    """(index, number of copies, value) of each page that has one."""
    for file, off, size in memory:
        for at in range(0, size, CHUNK):
            data = os.pread(file.fileno(), min(CHUNK, size - at), off + at)
            found = data.find(MAGIC)
            while found >= 0:
                if found % PAGE == 0:
                    yield struct.unpack_from("<QQQ", data, found + len(MAGIC))
                found = data.find(MAGIC, found + 1)


def count_filled(memory):
    """How many different pages are filled as they should be, and of how many."""
    good, num = set(), 0
    for file, off, size in memory:
        for at in range(0, size, CHUNK):
            data = os.pread(file.fileno(), min(CHUNK, size - at), off + at)
            found = data.find(FILLED)
            while found >= 0:
                page = data[found:found + PAGE]
                head = len(FILLED) + 16
                if found % PAGE == 0 and len(page) == PAGE:
                    index, num = struct.unpack_from("<QQ", page, len(FILLED))
                    word = struct.pack("<Q", (index + 1) * 0x9e3779b97f4a7c15 % 2 ** 64)
                    if page[head:] == word * ((PAGE - head) // 8):
                        good.add(index)
                found = data.find(FILLED, found + 1)
    return len(good), num


def main():
    if sys.argv[1] == "--process":
        memory = process_memory(sys.argv[2])
    else:
        good, wanted = count_filled(elf_memory(sys.argv[1]))
        if good != wanted:
            print("%d of %d filled pages" % (good, wanted))
            return 2
        if wanted:
            print("%d filled pages are as they were" % wanted)
        memory = elf_memory(sys.argv[1])
    values, num = {}, 0
    for index, num, value in find_copies(memory):
        # the kernel may have moved a page, and what it left is not written to any more
        values[index] = max(value, values.get(index, 0))
    if not num or len(values) != num:
        print("%d of %d copies" % (len(values), num))
        return 2
    order = [values[i] for i in range(num)]
    # where a page's value differs from that of the one before it
    edges = [i for i in range(1, num) if order[i] != order[i - 1]]
    if not edges or (len(edges) == 1 and order[0] == order[-1] + 1):
        print("one moment: %d copies of %d, %s" %
              (num, order[0], "the others one less from %d on" % edges[0] if edges else "all"))
        return 0
    print("not one moment: values from %d to %d, %d edges" % (min(order), max(order), len(edges)))
    return 1


if __name__ == "__main__":
    sys.exit(main())
