#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""Compare dumps with a reference, byte for byte; knows nothing of guestdump.

dumpcmp.py [--may-lack START-END] REFERENCE DUMP...

REFERENCE is an ELF core of QEMU's; it is read once and forward only, so it may
be a FIFO.  A DUMP is an ELF core or a kdump-compressed file (also flattened).

Every DUMP must have the memory of REFERENCE, all of it and nothing else, with
the same bytes at the same addresses, and the same notes: names, types and
descriptors, in the same order.  --may-lack names guest-physical addresses (hex,
both inclusive) that a kdump may leave out.

Exit status: 0 all are equal, 1 some are not (each difference is a line), 2 a
file is not what it should be.
"""

import argparse
import bisect
import mmap
import os
import struct
import sys
import tempfile
import zlib

CHUNK = 1 << 20
PT_LOAD, PT_NOTE, PN_XNUM = 1, 4, 0xFFFF
ZEROS = bytes(CHUNK)


def any_byte(data):
    return data != ZEROS[:len(data)]


class Bad(Exception):
    """The file contradicts its format."""


class ElfHead:
    """The headers and notes of an ELF core; read_at(offset, size) gives its bytes."""

    def __init__(self, read_at):
        ident = read_at(0, 16)
        if ident[:4] != b"\x7fELF" or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise Bad("not an ELF file")
        self.end = "<" if ident[5] == 1 else ">"
        self.is64 = ident[4] == 2
        layout, size = ("HHIQQQIHHHHHH", 64) if self.is64 else ("HHIIIIIHHHHHH", 52)
        (self.type, self.machine, _, _, phoff, shoff, _, self.ehsize, phentsize,
         phnum, _, _, _) = struct.unpack(self.end + layout, read_at(16, size - 16))
        if self.type != 4:
            raise Bad("not a core: e_type is %d" % self.type)
        if phentsize != (56 if self.is64 else 32):
            raise Bad("e_phentsize is %d" % phentsize)
        if phnum == PN_XNUM:
            phnum, = struct.unpack(self.end + "I", read_at(shoff + (44 if self.is64 else 28), 4))
        self.loads = []         # (paddr, size, offset, p_filesz) in the file's order
        self.notes = []         # (name, type, descriptor)
        for i in range(phnum):
            self.take_phdr(read_at, read_at(phoff + i * phentsize, phentsize))

    def take_phdr(self, read_at, raw):
        if self.is64:
            kind, _, off, _, paddr, filesz, memsz, _ = struct.unpack(self.end + "IIQQQQQQ", raw)
        else:
            kind, off, _, paddr, filesz, memsz, _, _ = struct.unpack(self.end + "8I", raw)
        if kind == PT_NOTE:
            self.notes += parse_notes(read_at(off, filesz), self.end)
        elif kind == PT_LOAD and memsz:
            self.loads.append((paddr, memsz, off, filesz))


def parse_notes(data, end):
    notes, at = [], 0
    while at < len(data):
        if at + 12 > len(data):
            raise Bad("a note's header is cut short")
        namesz, descsz, kind = struct.unpack_from(end + "III", data, at)
        at += 12
        name = data[at:at + namesz]
        at += (namesz + 3) & ~3
        desc = data[at:at + descsz]
        at += (descsz + 3) & ~3
        if at > len(data):
            raise Bad("a note is cut short")
        notes.append((name.rstrip(b"\0").decode("latin-1"), kind, desc))
    return notes


def merge(ranges):
    """(start, end) of what (start, size) cover; those of no size are dropped."""
    merged = []
    for start, size in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], start + size)
        elif size:
            merged.append([start, start + size])
    return [tuple(r) for r in merged]


def subtract(ranges, others):
    """What of @ranges is in none of @others; both (start, end), ascending, apart."""
    left = []
    for start, end in ranges:
        for other_start, other_end in others:
            if other_end <= start or other_start >= end:
                continue
            if other_start > start:
                left.append((start, other_start))
            start = other_end
            if start >= end:
                break
        if start < end:
            left.append((start, end))
    return left


class Reference:
    """QEMU's ELF core, read forward."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "rb", buffering=0)
        self.head = b""
        elf = ElfHead(self.head_at)
        self.end, self.machine, self.notes = elf.end, elf.machine, elf.notes
        self.loads = elf.loads
        for i, (paddr, size, off, filesz) in enumerate(self.loads):
            if filesz != size or (i and (off < sum(self.loads[i - 1][1:3]) or
                                         paddr < sum(self.loads[i - 1][:2]))):
                raise Bad("the reference is not whole, or out of order")
        self.ranges = merge((paddr, size) for paddr, size, _, _ in self.loads)
        self.pos = len(self.head)

    def read(self, size):
        parts = []
        while size:
            data = self.file.read(min(size, CHUNK))
            if not data:
                raise Bad("the reference ends early")
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def head_at(self, off, size):
        if off + size > 256 << 20:
            raise Bad("the reference has headers beyond 256 MiB")
        if off + size > len(self.head):
            self.head += self.read(off + size - len(self.head))
        return self.head[off:off + size]

    def chunks(self):
        """(paddr, bytes) of all memory, ascending."""
        for paddr, size, off, _ in self.loads:
            # the head may have taken a part of the first one
            early = self.head[off:off + size]
            if early:
                yield paddr, early
            elif off > self.pos:
                self.read(off - self.pos)
                self.pos = off
            done = len(early)
            while done < size:
                n = min(CHUNK - (paddr + done) % CHUNK, size - done)
                yield paddr + done, self.read(n)
                self.pos += n
                done += n


class Elf:
    """An ELF core to compare; a place may be in several of its segments."""
    kind = "ELF"

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self.fd).st_size
        self.hole = (0, 0)      # of the file: from where to where
        self.head = ElfHead(self.pread)
        self.end, self.machine, self.notes = self.head.end, self.head.machine, self.head.notes
        self.problems = []
        if self.head.ehsize != (64 if self.head.is64 else 52):
            self.problems.append("e_ehsize is %d" % self.head.ehsize)
        for paddr, size, off, filesz in self.head.loads:
            if filesz != size:
                self.problems.append("segment at 0x%x has %d of %d bytes" % (paddr, filesz, size))
            if off + filesz > self.size:
                self.problems.append("segment at 0x%x ends behind the file" % paddr)
        self.ranges = merge((paddr, size) for paddr, size, _, _ in self.head.loads)

    def pread(self, off, size):
        data = os.pread(self.fd, size, off)
        if len(data) != size:
            raise Bad("the file ends early")
        return data

    def is_hole(self, off, size):
        if not self.hole[0] <= off < self.hole[1]:
            try:
                self.hole = (off, os.lseek(self.fd, off, os.SEEK_DATA))
            except OSError:
                self.hole = (off, self.size)
        return off + size <= self.hole[1]

    def differs(self, paddr, data):
        """An address near to which memory is not as @data, which is at @paddr; or None."""
        for start, size, off, _ in self.head.loads:
            first, last = max(start, paddr), min(start + size, paddr + len(data))
            if first >= last:
                continue
            at = off + first - start
            want = data[first - paddr:last - paddr]
            if self.is_hole(at, len(want)):
                same = not any_byte(want)
            else:
                same = self.pread(at, len(want)) == want
            if not same:
                return first
        return None


class Kdump:
    """A kdump-compressed file of header version 6."""
    kind = "kdump"

    def __init__(self, path):
        file = open(path, "rb")
        if file.read(12) == b"makedumpfile":
            file = unflatten(file)
        self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.problems = []
        if self.map[:8] != b"KDUMP   ":
            raise Bad("neither ELF nor kdump")
        self.take_header()
        self.take_bitmaps()

    def take_header(self):
        # byte order and word size: the one of which the block size makes sense
        for self.end in "<>":
            version, = struct.unpack_from(self.end + "I", self.map, 8)
            if 1 <= version <= 6:
                break
        else:
            raise Bad("header version %d" % version)
        if version != 6:
            raise Bad("header version %d, not 6" % version)
        for self.is64, off in ((True, 424), (False, 412)):
            (self.status, self.block, self.sub_blocks, self.bitmap_blocks,
             max_mapnr) = struct.unpack_from(self.end + "5I", self.map, off)
            if self.block in (4096, 8192, 16384, 32768, 65536):
                break
        else:
            raise Bad("no block size that makes sense")
        self.uts = [self.map[12 + 65 * i:12 + 65 * (i + 1)].split(b"\0")[0].decode("latin-1")
                    for i in range(6)]
        sub = "QiiQQQQQQQQQQQ" if self.is64 else "IiiIIQIQIQIQQQ"
        (self.phys_base, self.level, _, _, _, off_info, size_info, off_note, size_note,
         _, _, _, _, max_64) = struct.unpack_from(self.end + sub, self.map, self.block)
        self.max_mapnr = max_64
        if max_mapnr != min(max_64, 0xFFFFFFFF):
            self.problems.append("max_mapnr is %d and %d" % (max_mapnr, max_64))
        if self.status & 8:
            self.problems.append("marked as incomplete")
        self.notes = parse_notes(self.map[off_note:off_note + size_note], self.end)
        self.vmcoreinfo = self.map[off_info:off_info + size_info]

    def take_bitmaps(self):
        at = (1 + self.sub_blocks) * self.block
        size = self.bitmap_blocks // 2 * self.block
        if self.max_mapnr > 8 * size:
            raise Bad("the bitmaps are shorter than max_mapnr")
        self.desc = at + 2 * size
        self.pages = bitmap_runs(self.map[at + size:at + 2 * size])
        self.ram = bitmap_runs(self.map[at:at + size])
        if self.pages != self.ram:
            self.problems.append("the two bitmaps differ")
        if self.pages and self.pages[-1][1] != self.max_mapnr:
            self.problems.append("max_mapnr is %d, the last page %d" %
                                 (self.max_mapnr, self.pages[-1][1] - 1))
        # number of pages that are before each run
        self.before = [0]
        for start, end in self.pages:
            self.before.append(self.before[-1] + end - start)
        self.ranges = [(start * self.block, end * self.block) for start, end in self.pages]
        self.starts = [start for start, _ in self.pages]
        # the first page of data may be the one that all zero pages share
        self.first_data = self.desc + 24 * self.before[-1]
        self.first_is_zero = not any_byte(self.map[self.first_data:self.first_data + self.block])
        self.zero_desc = struct.pack(self.end + "QIIQ", self.first_data, self.block, 0, 0)

    def memory(self, first, num):
        """Pages [first, first + num), inside one run."""
        run = bisect.bisect_right(self.starts, first) - 1
        index = self.before[run] + first - self.pages[run][0]
        descs = self.map[self.desc + 24 * index:self.desc + 24 * (index + num)]
        if self.first_is_zero and descs == self.zero_desc * num:
            return bytes(num * self.block)
        return b"".join(self.page(first + i, *desc[:3]) for i, desc in
                        enumerate(struct.iter_unpack(self.end + "QIIQ", descs)))

    def page(self, pfn, off, size, flags):
        data = self.map[off:off + size]
        if flags & 1:
            data = zlib.decompress(data)
        elif flags:
            raise Bad("page 0x%x is packed by 0x%x, which is not compared here" % (pfn, flags))
        if len(data) != self.block or off < self.first_data:
            raise Bad("page 0x%x is broken" % pfn)
        return data

    def differs(self, paddr, data):
        # the reference's pieces need not be whole pages
        first, last = paddr // self.block, (paddr + len(data) - 1) // self.block + 1
        for start, end in self.pages:
            start, end = max(start, first), min(end, last)
            if start >= end:
                continue
            ours = self.memory(start, end - start)
            at = start * self.block
            if at < paddr:
                ours, at = ours[paddr - at:], paddr
            ours = ours[:paddr + len(data) - at]
            if ours != data[at - paddr:at - paddr + len(ours)]:
                return at
        return None


def unflatten(file):
    """makedumpfile's flattened form: records of offset, size (big-endian), data."""
    ret = tempfile.TemporaryFile()
    file.seek(4096)
    while True:
        off, size = struct.unpack(">qq", file.read(16))
        if off == -1:
            ret.flush()
            return ret
        if off < 0 or size <= 0:
            raise Bad("a record of the flattened form is broken")
        ret.seek(off)
        data = file.read(size)
        if len(data) != size:
            raise Bad("the flattened form is cut short")
        ret.write(data)


def bitmap_runs(bitmap):
    """(first, behind the last) of the runs of 1 bits; bit 0 of a byte is first."""
    runs, at, size = [], 0, len(bitmap)
    while at < size:
        byte = bitmap[at]
        if byte in (0, 0xFF):
            # a long run of the same byte
            end = at + 1
            step = 1 << 16
            same = bytes([byte]) * step
            while step:
                while bitmap[end:end + step] == same[:step] and end + step <= size:
                    end += step
                step >>= 1
            if byte:
                add_run(runs, 8 * at, 8 * end)
            at = end
            continue
        for bit in range(8):
            if byte >> bit & 1:
                add_run(runs, 8 * at + bit, 8 * at + bit + 1)
        at += 1
    return runs


def add_run(runs, start, end):
    if runs and runs[-1][1] == start:
        runs[-1] = (runs[-1][0], end)
    else:
        runs.append((start, end))


def open_dump(path):
    with open(path, "rb") as file:
        magic = file.read(4)
    return Elf(path) if magic == b"\x7fELF" else Kdump(path)


def text(ranges):
    return ", ".join("%x-%x" % (start, end - 1) for start, end in ranges)


def compare_notes(dump, reference):
    if dump.notes == reference.notes:
        return
    ours = [(name, kind, len(desc)) for name, kind, desc in dump.notes]
    theirs = [(name, kind, len(desc)) for name, kind, desc in reference.notes]
    if ours != theirs:
        yield "notes are %s, not %s" % (ours, theirs)
        return
    for ours, theirs in zip(dump.notes, reference.notes):
        if ours != theirs:
            yield "note %s/0x%x has another descriptor" % ours[:2]


def compare_head(dump, reference, may_lack):
    yield from dump.problems
    yield from compare_notes(dump, reference)
    extra = subtract(dump.ranges, reference.ranges)
    lacks = subtract(reference.ranges, dump.ranges)
    if dump.kind == "kdump":
        lacks = subtract(lacks, may_lack)
        info = [desc for name, _, desc in dump.notes if name == "VMCOREINFO"]
        if info != ([dump.vmcoreinfo] if dump.vmcoreinfo else []):
            yield "the header's VMCOREINFO is not the note's"
    elif dump.machine != reference.machine:
        yield "e_machine is %d, not %d" % (dump.machine, reference.machine)
    if dump.end != reference.end:
        yield "the byte order is another one"
    if extra:
        yield "has memory that the reference has not: " + text(extra)
    if lacks:
        yield "lacks memory: " + text(lacks)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--may-lack", metavar="START-END", action="append", default=[])
    parser.add_argument("reference", metavar="REFERENCE")
    parser.add_argument("dump", metavar="DUMP", nargs="+")
    options = parser.parse_args()
    may_lack = []
    for pair in options.may_lack:
        start, end = pair.split("-")
        may_lack.append((int(start, 16), int(end, 16) + 1))

    reference = Reference(options.reference)
    dumps = [open_dump(path) for path in options.dump]
    differences = [list(compare_head(dump, reference, may_lack)) for dump in dumps]
    for paddr, data in reference.chunks():
        for dump, found in zip(dumps, differences):
            # a dozen tell what is wrong
            if len(found) > 12:
                continue
            at = dump.differs(paddr, data)
            if at is not None:
                found.append("differs from 0x%x to 0x%x" % (at, paddr + len(data) - 1))
    for path, dump, found in zip(options.dump, dumps, differences):
        for line in found:
            print("%s: %s" % (path, line))
        if not found:
            size = sum(end - start for start, end in dump.ranges)
            print("%s: %s, equal: %d bytes in %d ranges, %d notes" %
                  (path, dump.kind, size, len(dump.ranges), len(dump.notes)))
    return 1 if any(differences) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Bad, OSError, struct.error, zlib.error) as error:
        print("dumpcmp: %s" % error, file=sys.stderr)
        sys.exit(2)
