#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""Let one call after the other of a dump or a convert fail, and look what comes of it.

sweep.py [--most N] [--qmp SOCKET] PRELOAD GUESTDUMP ARGUMENT...

ARGUMENT is what to do, with OUT for the output.  Each kind of fault meets each call
that can fail so; with --most, N calls of each kind, evenly spread.  With --qmp the guest
must be running afterwards, each time.
"""

import argparse
import collections
import ctypes
import filecmp
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

DONE, FAILED, INCOMPLETE = 0, 1, 3
SECONDS = 120
REPORT = struct.Struct("=IIii32s")
Report = collections.namedtuple("Report", "calls faults descriptors allocations call")
Outcome = collections.namedtuple("Outcome", "status stderr report left")

# What must be in a message; None: the fault must do no harm
KINDS = {
    "enospc": ("No space left on device",),
    "eio": ("Input/output error",),
    "eintr": None,
    "short": None,
    "enomem": ("memory", "Resource temporarily unavailable"),
    "emfile": ("Too many open files",),
}


class Sweep:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.out = os.path.join(folder, "out")
        self.incomplete = self.out + ".incomplete"
        self.report = os.path.join(folder, "report")
        self.problems = 0
        # the grandchildren that outlive a dump become our children
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)

    def run(self, fault):
        for path in (self.out, self.incomplete):
            if os.path.exists(path):
                os.unlink(path)
        with open(self.report, "wb") as file:
            file.write(bytes(4096))
        command = [self.options.guestdump] + [
            self.out if argument == "OUT" else argument for argument in self.options.argument]
        environment = dict(os.environ, LD_PRELOAD=self.options.preload, FAULT=fault,
                           FAULT_FILE=self.report)
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            stderr = process.communicate(timeout=SECONDS)[1].decode(errors="replace")
        except subprocess.TimeoutExpired:
            process.kill()
            stderr = process.communicate()[1].decode(errors="replace") + "(took too long)"
        with open(self.report, "rb") as file:
            fields = REPORT.unpack(file.read(REPORT.size))
        report = Report(*fields[:4], fields[4].rstrip(b"\0").decode())
        return Outcome(process.returncode, stderr, report, self.orphans())

    @staticmethod
    def orphans():
        """Whether a process that was left is still there after a while."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.01)
            except ChildProcessError:
                return False
        return True

    def guestdump(self, *arguments):
        return subprocess.run([self.options.guestdump, *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE).returncode

    def is_running(self):
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(SECONDS)
            monitor.connect(self.options.qmp)
            lines = monitor.makefile("rw")
            lines.readline()
            for command in ("qmp_capabilities", "query-status"):
                lines.write(json.dumps({"execute": command}) + "\n")
                lines.flush()
                answer = {}
                while "return" not in answer:
                    answer = json.loads(lines.readline())
            return answer["return"]["running"]

    def memory(self, path):
        """What a dump says, however it says that: without memory, pages may stay unpacked."""
        elf = os.path.join(self.folder, "elf")
        if self.guestdump("convert", "-q", "-E", "--force", path, elf) != DONE:
            return None
        with open(elf, "rb") as file:
            return file.read()

    def is_whole(self):
        """A guest that runs is another one each time."""
        if self.options.qmp:
            return self.guestdump("verify", "-q", self.out) == DONE
        if filecmp.cmp(self.out, self.out + ".good", shallow=False):
            return True
        return self.memory(self.out) == self.memory(self.out + ".good") is not None

    def wrong(self, kind, outcome):
        """What is not as promised, or None."""
        status, exists = outcome.status, os.path.exists(self.out)
        left = os.path.exists(self.incomplete)
        if status not in (DONE, FAILED, INCOMPLETE):
            return "exit status %d" % status
        if status == DONE and not (exists and self.is_whole()):
            return "status 0 without a whole file"
        # memory that cannot be read is lost, and the dump tells
        lost = status == INCOMPLETE and exists and not left
        if lost and self.guestdump("verify", "-q", self.out) != INCOMPLETE:
            return "status %d, but nothing is lost" % status
        if status != DONE and exists and not lost:
            return "a file after status %d" % status
        if (status == INCOMPLETE and not lost) != left:
            return "status %d %s OUT.incomplete" % (status, "with" if left else "without")
        if left and self.guestdump("info", self.incomplete) != DONE:
            return "OUT.incomplete cannot be opened"
        words = KINDS[kind]
        if status != DONE and not words:
            return "status %d, but it is no failure" % status
        if status != DONE and not any(word in outcome.stderr for word in words):
            return "the message does not name the cause"
        return self.leaks(outcome)

    def leaks(self, outcome):
        if outcome.left:
            return "a process is left"
        if outcome.report.descriptors > self.good.report.descriptors:
            return "%d descriptors are left" % (
                outcome.report.descriptors - self.good.report.descriptors)
        if outcome.report.allocations > self.good.report.allocations:
            return "%d allocations are left" % (
                outcome.report.allocations - self.good.report.allocations)
        if self.options.qmp and not self.is_running():
            return "the guest does not run"
        return None

    def sweep(self, kind):
        self.good = self.run(kind + ":0")
        if self.good.status != DONE:
            sys.exit("without a fault: status %d: %s" % (self.good.status, self.good.stderr))
        if not self.options.qmp:
            shutil.move(self.out, self.out + ".good")
        calls = self.good.report.calls
        step = max(1, calls / self.options.most) if self.options.most else 1
        count = collections.Counter()
        for i in range(int(calls / step)):
            n = 1 + int(i * step)
            outcome = self.run("%s:%d" % (kind, n))
            wrong = self.wrong(kind, outcome)
            count[outcome.status] += 1
            if wrong:
                self.problems += 1
                print("%s at call %d, %s: %s\n  %s" % (
                    kind, n, outcome.report.call, wrong, outcome.stderr.strip()), flush=True)
        print("%-7s %5d calls, %4d tried: %s" % (
            kind, calls, sum(count.values()),
            ", ".join("%d times status %d" % (number, status)
                      for status, number in sorted(count.items()))), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--qmp")
    parser.add_argument("preload")
    parser.add_argument("guestdump")
    parser.add_argument("argument", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gd-fault.",
                                     dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        sweep = Sweep(options, folder)
        for kind in options.kind or KINDS:
            sweep.sweep(kind)
    return 1 if sweep.problems else 0


if __name__ == "__main__":
    sys.exit(main())
