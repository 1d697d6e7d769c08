# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""Measuring one run of a program, or of a command of QEMU's monitor."""

import fcntl
import json
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """What is to be told to the user."""


class Monitor:
    """One connection to QEMU's QMP monitor."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(path))
        self.lines = self.sock.makefile("r", encoding="utf-8")
        self.events = []
        self.lines.readline()
        self.run("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.sock.close()

    def run(self, name, fds=(), **arguments):
        text = {"execute": name}
        if arguments:
            text["arguments"] = arguments
        socket.send_fds(self.sock, [json.dumps(text).encode() + b"\n"], fds)
        for line in self.lines:
            answer = json.loads(line)
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise Failed("QEMU: %s: %s" % (name, answer["error"]["desc"]))
            else:
                return answer["return"]
        raise Failed("QEMU went away during " + name)

    def paused_ms(self):
        """The longest time between STOP and RESUME since the last call; None: there was none."""
        self.run("query-status")        # all events that happened have come by then
        stopped, longest = None, None
        for event in self.events:
            when = event["timestamp"]["seconds"] * 1e3 + event["timestamp"]["microseconds"] / 1e3
            if event["event"] == "STOP":
                stopped = when
            elif event["event"] == "RESUME" and stopped is not None:
                longest = max(longest or 0, when - stopped)
        self.events = []
        return longest


def cpu_of(pid):
    """User and system time of a process up to now, in seconds."""
    fields = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_anon_mib(pid):
    """A process's own memory; pages that it shares with the guest do not count."""
    try:
        text = Path("/proc/%d/status" % pid).read_text()
    except OSError:
        return 0
    found = re.search(r"^RssAnon:\s*(\d+)", text, re.M)
    return int(found[1]) / 1024 if found else 0


class Peak(threading.Thread):
    """Looks at a process's memory now and then; .mib is the most that was seen."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.mib = 0
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.02):
            self.mib = max(self.mib, rss_anon_mib(self.pid))

    def end(self):
        self.over.set()
        self.join()
        return round(self.mib, 1)


def run_program(words, log):
    """Run a program: its figures, and what it said."""
    with open(log, "w+", encoding="utf-8", errors="replace") as f:
        began = time.monotonic()
        child = subprocess.Popen(words, stdout=f, stderr=f, stdin=subprocess.DEVNULL)
        peak = Peak(child.pid)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        f.seek(0)
        text = f.read()
    if child.returncode:
        raise Failed("%s: %s" % (" ".join(words), text))
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "user": usage.ru_utime,
            "sys": usage.ru_stime, "rss_mib": peak.end(), "minor_faults": usage.ru_minflt}, text


def qemu_dump(qmp, pid, form, out):
    """QEMU's own command, which returns when it is done."""
    before, base = cpu_of(pid), rss_anon_mib(pid)
    peak = Peak(pid)
    with Monitor(qmp) as monitor:
        began = time.monotonic()
        monitor.run("dump-guest-memory", paging=False, protocol="file:%s" % out, format=form)
        wall = time.monotonic() - began
    return {"wall": wall, "cpu": cpu_of(pid) - before,
            "rss_mib": round(max(peak.end() - base, 0), 1)}


class Drain(threading.Thread):
    """Empties a pipe into /dev/null, where nothing is copied."""

    PIPE_SIZE, NAP = 1 << 20, 0.0002

    def __init__(self, null):
        super().__init__(daemon=True)
        self.null = null
        self.pipe, self.end = os.pipe()
        fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, self.PIPE_SIZE)
        self.start()

    def run(self):
        while os.splice(self.pipe, self.null, self.PIPE_SIZE):
            time.sleep(self.NAP)
        os.close(self.pipe)

    def close(self):
        os.close(self.end)
        self.join()


def qemu_snapshot(qmp, pid, through_pipe=False):
    """A background-snapshot migration into /dev/null; with a pipe the least that --live can
    take, as the stream has to get to it.
    """
    def switch(monitor, state):
        monitor.run("migrate-set-capabilities",
                    capabilities=[{"capability": "background-snapshot", "state": state}])

    before = cpu_of(pid)
    with Monitor(qmp) as monitor, open("/dev/null", "wb") as null:
        switch(monitor, True)
        drain = Drain(null.fileno()) if through_pipe else None
        monitor.run("getfd", (drain.end if drain else null.fileno(),), fdname="bench")
        began = time.monotonic()
        monitor.run("migrate", uri="fd:bench")
        while True:
            state = monitor.run("query-migrate")
            if state.get("status") == "completed":
                break
            if state.get("status") in ("failed", "cancelled", "none"):
                raise Failed("QEMU: migrate: %s" % state)
            time.sleep(0.005)
        wall = time.monotonic() - began
        if drain:
            drain.close()
        switch(monitor, False)
    return {"wall": wall, "cpu": cpu_of(pid) - before, "downtime_ms": state.get("downtime")}
