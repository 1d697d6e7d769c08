#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""What QEMU's "info registers" shows is in a dump of the same moment.

registers.py QMP-SOCKET INFO

INFO is the output of guestdump info --json for the dump; x86-64 only.
"""

import json
import re
import socket
import sys

NEEDED = ("rip", "rsp", "rax", "r15", "eflags", "cr0", "cr3", "cr4", "gs_base")


class Monitor:
    def __init__(self, path):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        self.file = sock.makefile("rw")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                sys.exit(str(answer["error"]))
            if "return" in answer:
                return answer["return"]


def of_qemu(text):
    pairs = re.findall(r"\b(R[A-DS][XIP]|RBP|RDI|RIP|R8|R9|R1[0-5]|CR[0-4]) *= ?([0-9a-f]+)", text)
    pairs += [("eflags", re.search(r"RFL=([0-9a-f]+)", text).group(1))]
    pairs += [(name + "_base", base) for name, base in
              re.findall(r"\b([FG]S) *=[0-9a-f]{4} ([0-9a-f]{16}) ", text)]
    return {name.lower(): int(value, 16) for name, value in pairs}


def main():
    monitor = Monitor(sys.argv[1])
    with open(sys.argv[2]) as file:
        cpus = json.load(file)["cpus"]
    if not cpus:
        sys.exit("there are no CPUs")
    for i, cpu in enumerate(cpus):
        want = of_qemu(monitor.ask("human-monitor-command",
                                   **{"command-line": "info registers", "cpu-index": i}))
        have = {name: int(value, 16) for group in cpu.values() for name, value in group.items()}
        missing = [name for name in NEEDED if name not in want or name not in have]
        if missing:
            sys.exit("CPU %d: no %s" % (i, ", ".join(missing)))
        differ = ["%s is 0x%x, not 0x%x" % (name, have[name], value)
                  for name, value in want.items() if have.get(name, value) != value]
        if differ:
            sys.exit("CPU %d: %s" % (i, ", ".join(differ)))
        print("CPU %d: %d registers are those of QEMU" % (i, len(want)))


main()
