#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""drgn finds in a dump what it must, without vmlinux.

read_drgn.py FACTS DUMP [no-registers]

FACTS is what facts.py wrote.  Compared are the machine, the kernel, all of the memory by
physical addresses, and the kernel's name by its virtual one.
"""

import json
import sys
import drgn

SIZE = 1 << 20
NAMES = {"ppc64le": "PPC64"}


def main():
    with open(sys.argv[1]) as file:
        facts = json.load(file)
    prog = drgn.Program()
    prog.set_core_dump(sys.argv[2])
    if not prog.flags & drgn.ProgramFlags.IS_LINUX_KERNEL:
        sys.exit("not taken for a kernel")
    little = bool(prog.platform.flags & drgn.PlatformFlags.IS_LITTLE_ENDIAN)
    name = NAMES.get(facts["machine"], facts["machine"].upper())
    if prog.platform.arch.name != name or little == facts["big"]:
        sys.exit("the machine is %s" % prog.platform)
    if prog["UTS_RELEASE"].string_().decode() != facts["release"]:
        sys.exit("the kernel is %s" % prog["UTS_RELEASE"])
    with open(facts["memory"], "rb") as file:
        at = facts["base"]
        while piece := file.read(SIZE):
            if prog.read(at, len(piece), physical=True) != piece:
                sys.exit("other memory from 0x%x on" % at)
            at += len(piece)
    release = facts["release"].encode() + b"\0"
    if prog.read(facts["release_at"], len(release)) != release:
        sys.exit("another release where VMCOREINFO says")


main()
