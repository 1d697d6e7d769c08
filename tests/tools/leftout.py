#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""Whether two kdumps leave out the same pages.

leftout.py ELF OURS THEIRS

ELF is the whole dump, with tests/guest/workload.c in it: where the guest itself says
that OURS is right, THEIRS may be otherwise (a makedumpfile that does not know the
kernel).  What THEIRS does not have at all (makedumpfile ends with the last page that
has a struct page) is not looked at.

Exit status: 0 they do, 1 they do not, and lines say which.
"""

import sys

import dumpcmp
import pageflags


def left_out(path, dump, ram):
    pfns = set()
    for start, end in dumpcmp.subtract(ram, dump.pages):
        pfns.update(range(start, end))
    print("%s leaves out %d pages" % (path, len(pfns)))
    return pfns


def main():
    elf = dumpcmp.Elf(sys.argv[1])
    ours, theirs = (dumpcmp.Kdump(path) for path in sys.argv[2:4])
    ram = dumpcmp.subtract(ours.ram, dumpcmp.subtract(ours.ram, theirs.ram))
    a, b = left_out(sys.argv[2], ours, ram), left_out(sys.argv[3], theirs, ram)
    if a == b:
        return 0
    kinds = pageflags.kinds_of(pageflags.read_flags(elf)[1])
    wanted = pageflags.wanted(ours.level)
    wrong = [pfn for pfn in a - b if not kinds[pfn] & wanted] + \
        [pfn for pfn in b - a if kinds[pfn] & wanted]
    print("    %d only the first, %d only the second; for %d of them the guest says that the first "
          "is right" % (len(a - b), len(b - a), len(a ^ b) - len(wrong)))
    for pfn in wrong[:8]:
        print("    0x%x: only the %s lacks it" % (pfn, "first" if pfn in a else "second"))
    # few pages have changed since the guest said so
    return 1 if 100 * len(wrong) > len(a ^ b) else 0


if __name__ == "__main__":
    sys.exit(main())
