#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""What readers must find in the dumps of a guest, told by the guest and by QEMU.

facts.py MACHINE BASE >facts.json

Reads, in the current folder: release (uname -r), note (memory of the guest that begins
with the kernel's VMCOREINFO note), registers.txt (QEMU's "info registers -a") and memory,
which begins at the guest-physical address BASE.
"""

import json
import os
import re
import struct
import sys

# program counter and stack pointer in what QEMU prints
REGISTERS = {
    "x86_64": (r"RIP=(\w+)", r"RSP=(\w+)"),
    "i386": (r"EIP=(\w+)", r"ESP=(\w+)"),
    "aarch64": (r"\bPC=(\w+)", r"\bSP=(\w+)"),
    "s390x": (r"\baddr (\w+)", r"R15=(\w+)"),
    "ppc64le": (r"NIP (\w+)", r"GPR00 \w+ (\w+)"),
    "riscv64": (r"\bpc +(\w+)", r"x2/sp +(\w+)"),
}
RELEASE_AT = 130        # in new_utsname


def registers(machine, text):
    columns = [re.findall(pattern, text) for pattern in REGISTERS[machine]]
    return sorted([int(word, 16) for word in cpu] for cpu in zip(*columns))


def vmcoreinfo(machine, note):
    head = struct.unpack((">" if machine == "s390x" else "<") + "III", note[:12])
    if head[0] != 11 or note[12:23] != b"VMCOREINFO\0":
        sys.exit("there is no VMCOREINFO where the guest says")
    return note[24:24 + head[1]].decode()


def main():
    machine, base = sys.argv[1:]
    with open("note", "rb") as file:
        text = vmcoreinfo(machine, file.read())
    with open("release") as file:
        release = file.read().strip()
    with open("registers.txt") as file:
        cpus = registers(machine, file.read())
    number = lambda key, radix: int(re.search(re.escape(key) + r"=(\w+)", text).group(1), radix)
    json.dump({
        "machine": machine,
        "big": machine == "s390x",
        "release": release,
        "page_size": number("PAGESIZE", 10),
        "registers": cpus,
        "vmcoreinfo": text,
        "uts": number("SYMBOL(init_uts_ns)", 16),
        "release_at": number("SYMBOL(init_uts_ns)", 16)
                      + number("OFFSET(uts_namespace.name)", 10) + RELEASE_AT,
        "memory": os.path.abspath("memory"),
        "base": int(base, 0),
    }, sys.stdout)


main()
