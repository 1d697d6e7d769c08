#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""Whether dumps lack the pages that the guest itself says are of the kinds left out.

pageflags.py [--changed N] ELF DUMP...

In the guest ran tests/guest/workload.c, which has a copy of /proc/kpageflags in its
memory; ELF is a whole dump of it.  Each kdump DUMP must lack what its dump level
says and nothing else; up to N pages (default 256) may be otherwise, since the copy is a
bit older than the dump.  Zero pages are not looked at.

Exit status: 0 so it is, 1 it is not, 2 the copy is not all there.
Knows nothing of guestdump.  Source: Linux's include/uapi/linux/kernel-page-flags.h.
"""

import argparse
import struct
import sys

import dumpcmp

MAGIC = b"PAGEFLAGS.COPY.OF.A.COUNT\0"
HEAD = 64
CHUNK = 1 << 20
LRU, SLAB, BUDDY, ANON, SWAPCACHE, SWAPBACKED, COMPOUND_TAIL, HUGE, HWPOISON, NOPAGE, \
    OFFLINE, PRIVATE = (1 << bit for bit in (5, 7, 10, 12, 13, 14, 16, 17, 19, 20, 23, 35))
ZERO, CACHE, CACHE_PRIVATE, USER, FREE = (1 << bit for bit in range(5))
KINDS = {CACHE: "cache", CACHE_PRIVATE: "private cache", USER: "user", FREE: "free"}


def find_copies(dump):
    """(page size, first pfn, number, last, flags) of each page that has some."""
    for _, size, off, _ in dump.head.loads:
        for at in range(0, size, CHUNK):
            data = dump.pread(off + at, min(CHUNK, size - at))
            found = data.find(MAGIC)
            while found >= 0:
                if found % 4096 == 0:
                    page, first, num, last = struct.unpack_from(dump.end + "4Q", data, found + 32)
                    yield page, first, num, last, struct.unpack_from(
                        "%s%dQ" % (dump.end, num), data, found + HEAD)
                found = data.find(MAGIC, found + 1)


def read_flags(dump):
    """The page size, and the flags by pfn."""
    flags, end, page_size = {}, None, 0
    for page_size, first, num, last, values in find_copies(dump):
        flags.update(zip(range(first, first + num), values))
        if last:
            end = first + num
    if end is None or len(flags) != end:
        print("%d of %s pages are told of" % (len(flags), end))
        sys.exit(2)
    return page_size, [flags[pfn] for pfn in range(end)]


def kind_of(flags):
    """What dump levels take a page with these flags for; 0: none."""
    # 6.12 takes what a slab has in place of a mapping for one
    if flags & (NOPAGE | SLAB):
        return 0
    if flags & BUDDY:
        return FREE
    if flags & (ANON | HUGE):
        return USER
    if flags & LRU or flags & SWAPCACHE and flags & SWAPBACKED:
        return CACHE_PRIVATE if flags & PRIVATE else CACHE
    return 0


def kinds_of(flags):
    head, kinds = 0, []
    for value in flags:
        if not value & COMPOUND_TAIL:
            head = value
        # of bad pages each goes by itself
        kinds.append(kind_of(head if value & COMPOUND_TAIL else value))
    return kinds


def wanted(level):
    """The kinds that @level leaves out."""
    kinds = sum(bit for bit in KINDS if level & bit)
    return kinds | CACHE if level & CACHE_PRIVATE else kinds


def check(path, flags, kinds, changed):
    dump = dumpcmp.Kdump(path)
    level, asked = dump.level, wanted(dump.level)
    lacks = set()
    for start, end in dumpcmp.subtract(dump.ram, dump.pages):
        lacks.update(range(start, end))
    present = set()
    for start, end in dump.ram:
        present.update(range(start, end))
    more, less, right = [], [], {}
    for pfn, kind in enumerate(kinds):
        if pfn not in present or flags[pfn] & (HWPOISON | OFFLINE):
            continue
        if kind & asked and pfn in lacks:
            right[kind] = right.get(kind, 0) + 1
        elif kind & asked:
            less.append(pfn)
        elif pfn in lacks:
            more.append(pfn)
    more += [pfn for pfn in lacks if pfn >= len(kinds)]
    print("%s: level %d: %s; %d more, %d less" %
          (path, level, ", ".join("%d %s" % (n, KINDS[kind]) for kind, n in sorted(right.items())),
           len(more), len(less)))
    for name, pfns in (("lacks", more), ("has", less)):
        for pfn in pfns[:5]:
            print("    %s 0x%x, flags 0x%x" % (name, pfn, flags[pfn] if pfn < len(flags) else 0))
    # each kind that is asked for must be there, or nothing was tested
    return len(more) + len(less) <= changed and all(
        kind in right for kind in (CACHE, CACHE_PRIVATE, USER, FREE) if kind & asked)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--changed", type=int, default=256)
    parser.add_argument("elf")
    parser.add_argument("dumps", nargs="+")
    args = parser.parse_args()
    _, flags = read_flags(dumpcmp.Elf(args.elf))
    kinds = kinds_of(flags)
    bad = [path for path in args.dumps if not check(path, flags, kinds, args.changed)]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
