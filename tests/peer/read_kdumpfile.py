#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""libkdumpfile finds in a dump what it must.

read_kdumpfile.py FACTS DUMP [no-registers]

FACTS is what facts.py wrote.  Compared are the machine, the kernel, VMCOREINFO, all of
the memory by physical addresses, and the kernel's name by its virtual one, which takes
the page tables of the kernel.
"""

import json
import sys
import kdumpfile

SIZE = 1 << 20
NAMES = {"i386": "ia32", "ppc64le": "ppc64"}


def open_dump(path):
    if hasattr(kdumpfile, "Context"):
        dump = kdumpfile.Context()
        dump.open(open(path, "rb"))
        return dump, kdumpfile.MACHPHYSADDR, kdumpfile.KVADDR
    return kdumpfile.kdumpfile(path), kdumpfile.KDUMP_MACHPHYSADDR, kdumpfile.KDUMP_KVADDR


def main():
    with open(sys.argv[1]) as file:
        facts = json.load(file)
    dump, physical, virtual = open_dump(sys.argv[2])
    dump.attr["addrxlat.ostype"] = "linux"
    wanted = {
        "arch.name": NAMES.get(facts["machine"], facts["machine"]),
        "arch.page_size": facts["page_size"],
        "arch.byte_order": int(not facts["big"]),
        "linux.uts.release": facts["release"],
        "linux.vmcoreinfo.SYMBOL.init_uts_ns": facts["uts"],
    }
    if "no-registers" not in sys.argv:
        wanted["cpu.number"] = len(facts["registers"])
    for name, value in wanted.items():
        try:
            found = dump.attr[name]
        except KeyError:
            found = None
        if found != value:
            sys.exit("%s is %r, not %r" % (name, found, value))
    if bytes(dump.attr["linux.vmcoreinfo.raw"]).decode() != facts["vmcoreinfo"]:
        sys.exit("another VMCOREINFO")
    with open(facts["memory"], "rb") as file:
        at = facts["base"]
        while piece := file.read(SIZE):
            if bytes(dump.read(physical, at, len(piece))) != piece:
                sys.exit("other memory from 0x%x on" % at)
            at += len(piece)
    release = facts["release"].encode() + b"\0"
    if bytes(dump.read(virtual, facts["release_at"], len(release))) != release:
        sys.exit("another release where VMCOREINFO says")


main()
