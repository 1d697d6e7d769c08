#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""Lay out the memory and registers of a real guest as another hypervisor's snapshot has them.

lay_out.py KIND CORE DIRECTORY
lay_out.py same CORE CORE [LACKS...]: compare RAM and registers, without some members of these, or
without "registers"

CORE is an ELF core that guestdump wrote of an x86-64 guest.  Nothing here comes from the library.
"""

import json
import struct
import sys

GIB = 1 << 30
PAGE = 4096


class Core:
    """RAM and registers of an ELF core."""

    def __init__(self, path):
        self.file = open(path, "rb")
        head = self.file.read(64)
        phoff, = struct.unpack_from("<Q", head, 32)
        num, = struct.unpack_from("<H", head, 56)
        self.loads, self.cpus = [], []
        for i in range(num):
            self.file.seek(phoff + 56 * i)
            kind, _, off, _, paddr, filesz, memsz, _ = struct.unpack("<IIQQQQQQ", self.file.read(56))
            if kind == 4:
                self.file.seek(off)
                self.take_notes(self.file.read(filesz))
            elif kind == 1 and not 0xffe00000 <= paddr < 4 * GIB:  # without the firmware
                self.loads.append((paddr, memsz, off, filesz))

    def take_notes(self, data):
        at = 0
        while at + 12 <= len(data):
            namesz, descsz, _ = struct.unpack_from("<III", data, at)
            name = data[at + 12:at + 12 + namesz].rstrip(b"\0")
            at += 12 + (namesz + 3) // 4 * 4
            if name == b"QEMU":
                self.cpus.append(Cpu(data[at:at + descsz]))
            at += (descsz + 3) // 4 * 4

    def read(self, start, size):
        """Memory; what is no RAM is zero."""
        out = bytearray(size)
        for paddr, _, off, filesz in self.loads:
            begin, end = max(start, paddr), min(start + size, paddr + filesz)
            if begin < end:
                self.file.seek(off + begin - paddr)
                out[begin - start:end - start] = self.file.read(end - begin)
        return bytes(out)

    def write(self, to, start, size, skip=None, sparse=False):
        """Write memory to a file, with holes for the pages that are skipped, or for zeros."""
        step = 1 << 20
        for at in range(start, start + size, step):
            data = self.read(at, min(step, start + size - at))
            if sparse and not any(data):
                to.seek(len(data), 1)
            elif not skip:
                to.write(data)
            for k in range(0, len(data) if skip else 0, PAGE):
                if skip((at + k) // PAGE):
                    to.seek(PAGE, 1)
                else:
                    to.write(data[k:k + PAGE])
        to.truncate(to.tell())


REGS = ("rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags").split()
SEGS = "cs ds es fs gs ss ldt tr gdt idt".split()


class Cpu:
    """What is in QEMU's note."""

    def __init__(self, desc):
        self.regs = dict(zip(REGS, struct.unpack_from("<18Q", desc, 8)))
        self.segs = {}
        for i, name in enumerate(SEGS):
            sel, limit, flags, _, base = struct.unpack_from("<IIIIQ", desc, 152 + 24 * i)
            # without the limit's and the base's bits of a descriptor
            self.segs[name] = dict(sel=sel, limit=limit, flags=flags & 0xf0ff00, base=base)
        self.cr0, _, self.cr2, self.cr3, self.cr4, self.gs_base = struct.unpack_from("<6Q", desc, 392)
        self.efer = 0xd01

    def rights(self, name):
        flags = self.segs[name]["flags"]
        return flags >> 8 & 0xff | flags >> 8 & 0xf000

    def kvm_regs(self):
        return struct.pack("<18Q", *(self.regs[name] for name in REGS))

    def kvm_segment(self, name):
        s = self.segs[name]
        f = s["flags"]
        present = f >> 15 & 1
        return struct.pack("<QIH10B", s["base"], s["limit"], s["sel"], f >> 8 & 15, present, f >> 13 & 3,
                           f >> 22 & 1, f >> 12 & 1, f >> 21 & 1, f >> 23 & 1, f >> 20 & 1, not present, 0)

    def kvm_sregs(self):
        out = b"".join(self.kvm_segment(n) for n in "cs ds es fs gs ss tr ldt".split())
        for n in "gdt", "idt":
            out += struct.pack("<QH6x", self.segs[n]["base"], self.segs[n]["limit"])
        return out + struct.pack("<7Q", self.cr0, self.cr2, self.cr3, self.cr4, 0, self.efer,
                                 0xfee00900) + bytes(32)


def crc64(data):
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x95ac9329ac4bc9b5 if i & 1 else 0)
        table.append(i)
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc


class Firecracker:
    """Regions of DRAM: below 3 GiB, and from 4 GiB on."""

    magic = struct.pack("<Q", 0x0710198486640000)

    def __init__(self, core, to):
        self.core, self.to = core, to
        self.size = sum(size for start, size, _, _ in core.loads if start >= 4 * GIB)
        self.size += 3 * GIB if self.size else max(s + n for s, n, _, _ in core.loads)

    def memory(self, name, skip=None):
        with open("%s/%s" % (self.to, name), "wb") as out:
            low = min(self.size, 3 * GIB)
            self.core.write(out, 0, low, skip)
            if self.size > low:
                self.core.write(out, 4 * GIB, self.size - low, skip)

    def state(self, name, head, cpus):
        body = head + bytes(range(256)) * 3 + cpus + bytes(range(255, -1, -1)) * 2
        with open("%s/%s" % (self.to, name), "wb") as out:
            out.write(body + struct.pack("<Q", crc64(body)))

    def versionize(self, name="state"):
        self.state(name, self.magic + struct.pack("<HQ", 5, self.size >> 20),
                   b"".join(bytes(77) + c.kvm_regs() + c.kvm_sregs() for c in self.core.cpus))

    def bincode(self, name="state"):
        self.state(name, self.magic + struct.pack("<Q", 5) + b"8.0.0" + struct.pack("<Q", self.size >> 20),
                   b"".join(bytes(77) + struct.pack("<Q", 144) + c.kvm_regs() + struct.pack("<Q", 312) +
                            c.kvm_sregs() for c in self.core.cpus))

    def bitcode(self, name="state"):
        cpus = self.core.cpus
        self.state(name, b"\x01\x00" + self.magic + b"\0\x09\0\0\0",
                   b"\x02\x90\0" + b"".join(c.kvm_regs() for c in cpus) + b"\x05\x38\x01\0" +
                   b"".join(c.kvm_sregs() for c in cpus))


def firecracker(core, to):
    f = Firecracker(core, to)
    for encoding in "versionize", "bincode", "bitcode":
        getattr(f, encoding)("state." + encoding)
    f.memory("memory")


def firecracker_wrong_cr3(core, to):
    """Registers that a CPU could have, but none of this guest."""
    for cpu in core.cpus:
        cpu.cr3 = 0x5000000
    Firecracker(core, to).bincode()


def firecracker_diff(core, to):
    """A base whose every third page is wrong, and the changes to these."""
    f = Firecracker(core, to)
    f.bincode()
    f.memory("changes", lambda page: page % 3)
    with open(to + "/base", "wb") as out:
        for page in range(f.size // PAGE):
            out.write(core.read(page * PAGE, PAGE) if page % 3 else b"\xa5" * PAGE)


def below_and_above(core):
    """RAM as VMMs for PCs have it: (start, size) below 3 GiB and above 4 GiB."""
    size = Firecracker(core, None).size
    return [(0, min(size, 3 * GIB))] + ([(4 * GIB, size - 3 * GIB)] if size > 3 * GIB else [])


def rust_kvm(cpu, by_name):
    """struct kvm_regs and kvm_sregs, as an array of bytes or by the names of their members."""
    if not by_name:
        return list(cpu.kvm_regs()), list(cpu.kvm_sregs())
    sregs = {"cr0": cpu.cr0, "cr2": cpu.cr2, "cr3": cpu.cr3, "cr4": cpu.cr4, "cr8": 0, "efer": cpu.efer,
             "apic_base": 0xfee00900, "interrupt_bitmap": [0] * 4}
    for name in SEGS:
        f = cpu.segs[name]["flags"]
        sregs[name] = {"base": cpu.segs[name]["base"], "limit": cpu.segs[name]["limit"],
                       "selector": cpu.segs[name]["sel"], "type_": f >> 8 & 15, "present": f >> 15 & 1,
                       "dpl": f >> 13 & 3, "db": f >> 22 & 1, "s": f >> 12 & 1, "l": f >> 21 & 1,
                       "g": f >> 23 & 1, "avl": f >> 20 & 1, "unusable": not f >> 15 & 1, "padding": 0}
    return dict(cpu.regs), sregs


def cloud_hypervisor(core, to, by_name=False):
    ranges = below_and_above(core)[::-1]
    cpus = {}
    for i, cpu in enumerate(core.cpus):
        regs, sregs = rust_kvm(cpu, by_name)
        state = {"Kvm": {"cpuid": [], "msrs": [{"index": 0xc0000102, "data": cpu.gs_base}],
                         "regs": regs, "sregs": sregs}}
        cpus[str(i)] = {"snapshots": {}, "snapshot_data": {"state": json.dumps(state)}}
    memory = {"memory_ranges": {"data": [{"gpa": start, "length": size} for start, size in ranges]},
              "guest_ram_mappings": [{"slot": i, "gpa": start, "size": size, "zone_id": "mem0",
                                      "virtio_mem": False, "file_offset": 0}
                                     for i, (start, size) in enumerate(ranges)]}
    with open(to + "/state.json", "w") as out:
        json.dump({"snapshots": {
            "cpu-manager": {"snapshots": cpus, "snapshot_data": None},
            "memory-manager": {"snapshots": {}, "snapshot_data": {"state": json.dumps(memory)}}},
            "snapshot_data": {"state": "{}"}}, out)
    with open(to + "/config.json", "w") as out:
        json.dump({"memory": {"size": sum(size for _, size in ranges), "zones": None}}, out)
    with open(to + "/memory-ranges", "wb") as out:
        for start, size in ranges:
            core.write(out, start, size, sparse=True)


def cloud_hypervisor_39(core, to):
    cloud_hypervisor(core, to, True)


def vmware_tag(name, indices, value, block=False):
    size = 63 if block else len(value)
    tag = struct.pack("<BB", len(indices) << 6 | size, len(name)) + name.encode()
    tag += b"".join(struct.pack("<I", i) for i in indices)
    return tag + (struct.pack("<QQH", len(value), len(value), 3) + bytes(3) if block else b"") + value


def vmware_cpu(i, cpu, in_blocks):
    """Registers in blocks, or each with a tag of its own."""
    order = "rax rcx rdx rbx rbp rsp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()
    control = [cpu.cr0, 0, cpu.cr2, cpu.cr3, cpu.cr4, 0, 0, 0, 0]
    idt = cpu.segs["idt"]
    out = b""
    if in_blocks:
        out += vmware_tag("gpregs", [i], struct.pack("<16Q", *(cpu.regs[r] for r in order)), True)
        out += vmware_tag("CR64", [i], struct.pack("<9Q", *control), True)
        out += vmware_tag("IDTR", [i], struct.pack("<HQ", idt["limit"], idt["base"]), True)
    else:
        for r in order:
            out += vmware_tag(r, [i], struct.pack("<Q", cpu.regs[r]))
        for n, value in enumerate(control):
            out += vmware_tag("CR64", [i, n], struct.pack("<Q", value))
        out += vmware_tag("IDTR", [i, 1], struct.pack("<I", idt["base"] & 0xffffffff))
        out += vmware_tag("IDTR", [i, 2], struct.pack("<I", idt["base"] >> 32))
    out += vmware_tag("rip", [i], struct.pack("<Q", cpu.regs["rip"]))
    out += vmware_tag("EFLAGS", [i], struct.pack("<I", cpu.regs["rflags"]))
    for n, name in enumerate("es cs ss ds fs gs ldt tr".split()):
        out += vmware_tag("S", [i, n], struct.pack("<H", cpu.segs[name]["sel"]))
        out += vmware_tag("S.base64", [i, n], struct.pack("<Q", cpu.segs[name]["base"]))
    return out


def vmware(core, to, in_blocks=True):
    ranges = below_and_above(core)
    cpu = vmware_tag("cpu:numVCPUs", [], struct.pack("<I", len(core.cpus)))
    cpu += b"".join(vmware_cpu(i, c, in_blocks) for i, c in enumerate(core.cpus)) + b"\0\0"
    memory, page = vmware_tag("regionsCount", [], struct.pack("<I", len(ranges))), 0
    for i, (start, size) in enumerate(ranges):
        for name, value in ("regionPageNum", page), ("regionPPN", start // PAGE), ("regionSize", size // PAGE):
            memory += vmware_tag(name, [i], struct.pack("<I", value))
        page += size // PAGE
    memory += b"\0\0"
    at = 12 + 2 * 80
    head = struct.pack("<III", 0xbed2bed2, 8, 2)
    head += struct.pack("<64sQQ", b"cpu", at, len(cpu))
    head += struct.pack("<64sQQ", b"memory", at + len(cpu), len(memory))
    with open(to + "/vm.vmss", "wb") as out:
        out.write(head + cpu + memory)
    with open(to + "/vm.vmem", "wb") as out:
        for start, size in ranges:
            core.write(out, start, size)


def vmware_tags(core, to):
    vmware(core, to, False)


def lz77(page):
    """Plain LZ77 of MS-XCA with matches of the byte before only."""
    out, flags, items, at = bytearray(4), 0, 0, 0
    flags_at, half_at = 0, None
    while at < len(page):
        n = 0
        while at and at + n < len(page) and page[at + n] == page[at - 1]:
            n += 1
        if n < 3:
            out.append(page[at])
            n, bit = 1, 0
        else:
            length, bit = n - 3, 1
            out += struct.pack("<H", min(length, 7))
            if length >= 7:
                nibble = min(length - 7, 15)
                if half_at is None:
                    half_at = len(out)
                    out.append(nibble)
                else:
                    out[half_at] |= nibble << 4
                    half_at = None
                if nibble == 15:
                    out.append(min(length - 22, 255))
                    if length - 22 >= 255:
                        out += struct.pack("<H", length)
        at += n
        flags, items = flags << 1 | bit, items + 1
        if items == 32:
            out[flags_at:flags_at + 4] = struct.pack("<I", flags)
            flags_at, flags, items = len(out), 0, 0
            out += bytes(4)
    out[flags_at:flags_at + 4] = struct.pack("<I", flags << 32 - items | (1 << 32 - items) - 1)
    return bytes(out)


def hyperv_tokens(block):
    """Pages of zeros are filled, some are packed, the others are plain."""
    out, at = b"", 0
    pages = [block[i:i + PAGE] for i in range(0, len(block), PAGE)]
    while at < len(pages):
        n = 0
        while at + n < len(pages) and not any(pages[at + n]):
            n += 1
        if n:
            out += struct.pack("<I8x", 0xfffffffe) if n == 1 else struct.pack("<I8xI", 0xfffffffd, n)
            at += n
            continue
        packed = lz77(pages[at]) if at % 32 == 0 else pages[at]
        if len(packed) < PAGE:
            out += struct.pack("<I", len(packed)) + packed
        else:
            out += struct.pack("<III", 0xfffffffc, PAGE, PAGE) + pages[at]
        at += 1
    return out + struct.pack("<I", 0xffffffff)


def hyperv_state(core):
    def chunk(kind, body):
        return struct.pack("<II8x", kind, len(body)) + body

    out = struct.pack("<QQQ", 16, 16, 0) + bytes(8)
    out += chunk(0, struct.pack("<QI", 0, 1))
    for i, c in enumerate(core.cpus):
        out += chunk(0x30001000, struct.pack("<I", i))
        for level in 1, 0:      # the registers of the secure kernel are others
            out += chunk(0x3001a000, bytes([level]))
            order = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rip rflags"
            out += chunk(0x30005000, struct.pack("<18Q", *(c.regs[r] ^ level for r in order.split())))
            out += chunk(0x30007000, struct.pack("<6Q", c.cr0, c.cr2, c.cr3 ^ level, c.cr4, 0, c.efer))
            out += chunk(0x30009000, b"".join(
                struct.pack("<QIHH", c.segs[n]["base"], c.segs[n]["limit"], c.segs[n]["sel"], c.rights(n))
                for n in "es cs ss ds fs gs ldt tr".split()))
            out += chunk(0x3000a000, b"".join(
                struct.pack("<6xHQ", c.segs[n]["limit"], c.segs[n]["base"]) for n in ("idt", "gdt")))
    return out + chunk(0xf0000000, b"")


def hyperv(core, to, packed=False):
    keys, keys_at, keys_size = struct.pack("<HHHI", 2, 1, 1, 0), 12288, 1 << 20
    with open(to + "/vm.vmrs", "wb") as out:
        def entry(name, parent, data=None):
            """Add a key; data that is long becomes a file object."""
            nonlocal keys
            body, is_object = b"", data is not None and len(data) >= 2048
            if data is not None:
                body = struct.pack("<I", len(data)) + (struct.pack("<Q", out.tell()) if is_object else data)
            if is_object:
                out.write(data)
            name = name.encode() + b"\0"
            at = len(keys)
            keys += struct.pack("<BBIHIIIB", 9 if data is None else 7, is_object, 21 + len(name) + len(body),
                                1 if parent else 0, parent, 0, 0, len(name)) + name + body
            return at

        out.seek(keys_at + keys_size)
        saved = entry("savedstate", 0)
        vm = entry("savedVM", saved)
        entry("partition_state", vm, hyperv_state(core))
        ranges, first = below_and_above(core)[::-1], 0
        for i, (start, size) in enumerate(ranges):
            entry("RamMemoryBlock%d" % i, saved,
                  struct.pack("<IIQQQI12x", 3, 0, size // PAGE, first // PAGE, start // PAGE, 0))
            for at in range(start, start + size, 1 << 20):
                block = core.read(at, 1 << 20)
                tokens = hyperv_tokens(block) if packed else block
                entry("RamBlock%d" % (first >> 20), saved, tokens if len(tokens) < len(block) else block)
                first += 1 << 20
        for at, sequence in (0, 3), (4096, 2):
            out.seek(at)
            out.write(struct.pack("<IIHIIIIQQI", 0x01282014, 0, sequence, 0x400, 0, 0, 4096, 0, 0, 0))
        out.seek(8192)
        out.write(struct.pack("<II", 0x01110001, 1))
        out.write(struct.pack("<BIQIB", 2, 0, keys_at, keys_size, 0))
        out.seek(keys_at)
        out.write(keys)


def hyperv_packed(core, to):
    hyperv(core, to, True)


def elf_header(phnum, shoff, shnum, shstrndx):
    return struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\0", 4, 62, 0, 0, 64 if phnum else 0, shoff, 0, 64,
                       56, phnum, 64, shnum, shstrndx)


def elf_note(name, kind, desc, align=4, with_nul=True):
    name = name.encode()
    out = struct.pack("<III", len(name) + with_nul, len(desc), kind) + name
    return out + bytes(-len(name) % align or (align if with_nul else 0)) + desc


def virtualbox(core, to):
    notes = elf_note("VBCORE", 0xb00, struct.pack("<6I", 0xc01ac0de, 0x10006, 24, 0x7000014, 1, len(core.cpus)),
                     8, False)
    for c in core.cpus:
        def segment(name):
            s = c.segs[name]
            rights = c.rights(name) | (0 if s["flags"] & 0x8000 else 1 << 16)
            return struct.pack("<QIIH6x", s["base"], s["limit"], rights, s["sel"])

        order = "rax rbx rcx rdx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rip rsp rbp rflags"
        out = struct.pack("<18Q", *(c.regs[r] for r in order.split()))
        out += b"".join(segment(n) for n in "cs ds es fs gs ss".split())
        out += struct.pack("<4Q", c.cr0, c.cr2, c.cr3, c.cr4) + bytes(64)
        for n in "gdt", "idt":
            out += struct.pack("<QI4x", c.segs[n]["base"], c.segs[n]["limit"])
        out += segment("ldt") + segment("tr") + bytes(24)
        out += struct.pack("<7Q", c.efer, 0, 0, 0, 0, 0, c.gs_base)
        notes += elf_note("VBCPU", 0xb01, out.ljust(584 + 4096, b"\0"), 8, False)
    # memory in two pieces, and device memory between them without bytes
    (_, size), = below_and_above(core)
    loads = [(0, 0xa0000), (0x100000, size - 0x100000)]
    with open(to + "/vbox.core", "wb") as out:
        out.write(elf_header(4, 0, 0, 0))
        at = 64 + 4 * 56
        out.write(struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(notes), len(notes), 0))
        at += len(notes)
        for start, n in loads:
            out.write(struct.pack("<IIQQQQQQ", 1, 7, at, 0, start, n, n, 0))
            at += n
        out.write(struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0xe0000000, 0, 0x1000000, 0) + notes)
        for start, n in loads:
            core.write(out, start, n)


def xen(core, to):
    contexts = b""
    for c in core.cpus:
        out = bytearray(5168)
        order = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi"
        struct.pack_into("<15Q", out, 520, *(c.regs[r] for r in order.split()))
        struct.pack_into("<QQQQ", out, 520 + 128, c.regs["rip"], c.segs["cs"]["sel"], c.regs["rflags"],
                         c.regs["rsp"])
        struct.pack_into("<5Q", out, 520 + 160, *(c.segs[n]["sel"] for n in "ss es ds fs gs".split()))
        struct.pack_into("<5Q", out, 4984, c.cr0, 0, c.cr2, c.cr3, c.cr4)
        bases = [c.segs["gs"]["base"], c.gs_base]
        if c.segs["cs"]["sel"] & 3:
            bases.reverse()
        struct.pack_into("<3Q", out, 5144, c.segs["fs"]["base"], *bases)
        contexts += out
    (_, size), = below_and_above(core)
    pfns = [n for n in range(size // PAGE) if not 0xa0 <= n < 0x100]
    notes = elf_note("Xen", 0x2000000, b"")
    notes += elf_note("Xen", 0x2000001, struct.pack("<4Q", 0xf00febee, len(core.cpus), len(pfns), PAGE))
    notes += elf_note("Xen", 0x2000003, struct.pack("<Q", 1))
    names = b"\0.note.Xen\0.xen_prstatus\0.xen_pfn\0.xen_pages\0.shstrtab\0"
    numbers = struct.pack("<%dQ" % len(pfns), *pfns)
    with open(to + "/xen.core", "wb") as out:
        at, headers = 64 + 6 * 64, bytes(64)
        pages_at = (at + len(notes) + len(contexts) + len(names) + len(numbers) + PAGE - 1) // PAGE * PAGE
        for name, data, entry in (b".note.Xen", notes, 0), (b".xen_prstatus", contexts, 5168), \
                (b".xen_pfn", numbers, 8), (b".shstrtab", names, 0):
            headers += struct.pack("<IIQQQQIIQQ", names.index(b"\0" + name + b"\0") + 1, 1, 0, 0, at, len(data), 0, 0,
                                   1, entry)
            at += len(data)
        headers += struct.pack("<IIQQQQIIQQ", names.index(b"\0.xen_pages") + 1, 1, 0, 0, pages_at,
                               len(pfns) * PAGE, 0, 0, 1, PAGE)
        out.write(elf_header(0, 64, 6, 4) + headers + notes + contexts + numbers + names)
        out.seek(pages_at)
        core.write(out, 0, 0xa0000)
        core.write(out, 0x100000, size - 0x100000)


KINDS = {"virtualbox": virtualbox, "xen": xen,
         "hyperv": hyperv, "hyperv-packed": hyperv_packed,
         "firecracker": firecracker, "firecracker-diff": firecracker_diff,
         "firecracker-wrong-cr3": firecracker_wrong_cr3,
         "vmware": vmware, "vmware-tags": vmware_tags,
         "cloud-hypervisor": cloud_hypervisor, "cloud-hypervisor-39": cloud_hypervisor_39}


def registers(core, lacks):
    """All registers, without those that the format has no room for."""
    for cpu in core.cpus:
        for seg in cpu.segs.values():
            for member in lacks:
                seg.pop(member, None)
        if "gs_base" in lacks:
            cpu.gs_base = None
        for name in SEGS:
            if name in lacks:
                del cpu.segs[name]
    return [vars(c) for c in core.cpus]


def same(a, b, lacks=()):
    """Whether @b has all RAM and all registers of @a, and no more RAM."""
    def ram(core):
        merged = []
        for start, size, _, _ in sorted(core.loads):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], start + size)
            else:
                merged.append([start, start + size])
        return merged

    if ram(a) != ram(b) and "video" not in lacks:
        sys.exit("ranges differ: %s, %s" % (ram(a), ram(b)))
    if "video" in lacks:        # what of @a is no RAM in @b
        if ram(b) != [[0, 0xa0000], [0x100000, ram(a)[0][1]]]:
            sys.exit("ranges: %s, %s" % (ram(a), ram(b)))
    for start, end in ram(b):
        for at in range(start, end, 1 << 20):
            n = min(1 << 20, end - at)
            if a.read(at, n) != b.read(at, n):
                sys.exit("memory differs at 0x%x" % at)
    if "registers" in lacks:
        return
    want, got = registers(a, lacks), registers(b, lacks)
    if not want or want != got:
        sys.exit("registers differ:\n%s\n%s" % (want, got))


def main():
    if sys.argv[1] == "same":
        same(Core(sys.argv[2]), Core(sys.argv[3]), sys.argv[4:])
        return
    kind, core, to = sys.argv[1:]
    KINDS[kind](Core(core), to)


if __name__ == "__main__":
    main()
