#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""Run the examples of the manual pages and the README, and compare what they print.

examples.py check PAGE...            each literal block can be run, or says why not
examples.py run OPTION... PAGE...    run them
    --dir DIR        an empty directory to work in
    --socket PATH    QMP socket of a running guest; the pages call it /run/vm.sock
    --make COMMAND   "COMMAND FILE" makes a file that a page takes for granted

A session is a literal block (in README.md: an indented one) with lines that begin with "$ ".
The lines below a command are its output, standard error included; a "\\" at their end joins
them with the next line.  Output is compared in shape: numbers, sizes, dates and addresses
may differ, "..." stands for the rest of a line, and a line of "..." for any lines.  One
command on a .Dl line has to succeed, whatever it prints.

Comments in a page (.\\" in roff, <!-- --> in Markdown) apply to the next block:
    not run: REASON   the block cannot be run in a test
    status: N         its last command ends with exit status N
    given: FILE...    the files that exist before the page's first block

Without --socket, only pages run that need neither guest nor files.  A command whose programs
are not installed is skipped.  What was not run is listed.
"""

import argparse
import pathlib
import platform
import re
import shutil
import subprocess
import sys

SOCKET = "/run/vm.sock"
HOST = "node3"                          # in the pages
TIMEOUT = 300
BUILTINS = {"cd", "export", "sudo"}


class Block:
    """A literal block of a page: its lines, and what the comments before it say."""

    def __init__(self, page, number, lines, notes, one_line=False):
        self.page, self.number, self.lines = page, number, lines
        self.not_run = notes.get("not run")
        self.status = int(notes.get("status", 0))
        self.one_line = one_line

    def where(self):
        return f"{self.page.name}:{self.number}"

    def is_session(self):
        return any(line.startswith("$ ") for line in self.lines)

    def is_c(self):
        return any(line.startswith("#include") for line in self.lines)

    def steps(self):
        """[command, lines of output] of each command."""
        steps = []
        for line in join_lines(self.lines):
            if line.startswith("$ "):
                steps.append([line[2:], []])
            elif line.startswith("> "):
                steps[-1][0] += "\n" + line[2:]
            else:
                steps[-1][1].append(line)
        return steps


def join_lines(lines):
    joined, more = [], False
    for line in lines:
        cut = line[:-1] if line.endswith("\\") else line
        if more:
            joined[-1] += cut.lstrip() if joined[-1].endswith(" ") else cut
        else:
            joined.append(cut)
        more = line.endswith("\\") and not joined[-1].startswith("$ ")
        if line.endswith("\\") and not more:        # a command goes on in the shell's way
            joined[-1] += "\\"
    return joined


def unroff(text):
    return text.replace("\\e", "\\").replace("\\-", "-").replace("\\&", "")


def take_note(text, notes):
    match = re.match(r"(not run|status|given): *(.*?) *(-->)?$", text)
    if match:
        notes[match[1]] = match[2]


def blocks_of_roff(page):
    """Blocks of a manual page, and the files that it takes for granted."""
    blocks, given, notes, lines = [], [], {}, None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if lines is not None and line != ".Ed":
            lines.append(unroff(line))
        elif line == ".Ed" and lines is not None:
            blocks.append(Block(page, start, lines, notes))
            lines, notes = None, {}
        elif line.startswith('.\\" '):
            take_note(line[4:], notes)
            given += notes.pop("given", "").split()
        elif line.startswith(".Bd -literal"):
            lines, start = [], number
        elif line.startswith(".Dl $ "):
            blocks.append(Block(page, number, [unroff(line[4:])], notes, True))
            notes = {}
    return blocks, given


def blocks_of_markdown(page):
    blocks, given, notes, lines = [], [], {}, []
    for number, line in enumerate(page.read_text().splitlines() + ["end"], 1):
        if line.startswith("    ") or (lines and not line):
            lines.append(line[4:])
            continue
        if any(text.startswith("$ ") for text in lines):
            start = number - len(lines)
            while not lines[-1]:
                lines.pop()
            blocks.append(Block(page, start, lines, notes))
            notes = {}
        lines = []
        if line.startswith("<!-- "):
            take_note(line[5:], notes)
            given += notes.pop("given", "").split()
    return blocks, given


def blocks_of(page):
    return blocks_of_markdown(page) if page.suffix == ".md" else blocks_of_roff(page)


# --- comparing -------------------------------------------------------------------------------

SHAPES = [
    (re.compile(r"0x[0-9a-f]+"), "N"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{6,}\b"), "N"),
    (re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"), "D"),
    (re.compile(r"-?\b\d+(\.\d+)*[KMGT]?\b|(?<=[a-zA-Z_+-])\d+"), "N"),
    (re.compile(r"\b[KMGT]iB\b|\bB\b"), "U"),
    (re.compile(r"\bN( ?, ?N)+\b"), "N"),
    (re.compile(r"\s+"), " "),
]


def shape(line):
    for pattern, text in SHAPES:
        line = pattern.sub(text, line)
    return line.strip()


def line_fits(want, got):
    if want.endswith("..."):
        return shape(got).startswith(shape(want[:-3]).rstrip("N"))
    return shape(want) == shape(got)


def fits(want, got):
    """Whether the lines @got have the shape of the page's, where "..." is any lines."""
    if not want:
        return not got
    if want[0].strip() == "...":
        return any(fits(want[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and line_fits(want[0], got[0]) and fits(want[1:], got[1:])


# --- running ---------------------------------------------------------------------------------

def missing_programs(command, path):
    """Programs at the start of the pipelines of @command that are not installed."""
    plain = re.sub(r"'[^']*'|\"[^\"]*\"", "''", command).replace("\\\n", " ")
    words = [part.split()[0] for part in re.split(r"[|;&\n(]+", plain) if part.split()]
    return [word for word in words if re.fullmatch(r"[a-z][\w.-]*", word)
            and word not in BUILTINS and not shutil.which(word, path=path)]


class Runner:
    def __init__(self, args):
        self.args = args
        self.skipped, self.failed, self.ran = [], 0, 0

    def environment(self, folder):
        run = folder / ".run"
        run.mkdir(mode=0o700)
        return {"HOME": str(folder), "LC_ALL": "C.UTF-8", "TZ": "UTC",
                "XDG_RUNTIME_DIR": str(run), **self.args.env}

    def fail(self, block, command, *lines):
        self.failed += 1
        print(f"FAIL: {block.where()}: $ {command}", *lines, sep="\n")

    def skip(self, block, why):
        self.skipped.append(f"{block.where()}: {why}: {block.steps()[0][0]}"
                            if block.is_session() else f"{block.where()}: {why}")

    def step(self, block, command, want, status, folder, env):
        """Run one command; its lines of output."""
        if self.args.socket:
            command = command.replace(SOCKET, self.args.socket)
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False)
        text = done.stdout.decode(errors="replace").replace(self.args.socket or SOCKET, SOCKET)
        text = text.replace(f"host        {platform.node()},", f"host        {HOST},")
        # a line of progress comes every five seconds, on a slow machine only
        got = [line for line in text.splitlines() if not re.fullmatch(r"guestdump: .*\(\d+%\)", line)]
        self.ran += 1
        if done.returncode != status:
            self.fail(block, command, f"exit status {done.returncode}, not {status}", *got)
        elif not block.one_line and not fits(want, got):
            self.fail(block, command, "--- the page", *want, "--- now", *got)
        return got

    def block(self, block, folder, env, numbers):
        steps = block.steps()
        for i, (command, want) in enumerate(steps):
            missing = missing_programs(command, env["PATH"])
            if missing:
                self.skipped.append(f"{block.where()}: needs {missing[0]}: {command}")
                continue
            for number, now in numbers.items():
                command = re.sub(rf"\b{number}\b", now, command)
            status = block.status if i == len(steps) - 1 else 0
            got = self.step(block, command, want, status, folder, env)
            # a job's number is used in the next commands
            if len(want) == len(got) == 1 and want[0].isdigit() and got[0].isdigit():
                numbers[want[0]] = got[0]

    def page(self, page):
        blocks, given = blocks_of(page)
        alone = not given and not any(SOCKET in line for block in blocks for line in block.lines)
        folder = pathlib.Path(self.args.dir) / page.name
        numbers = {}
        if self.args.socket or alone:
            folder.mkdir()
            env = self.environment(folder)
            for name in given:
                subprocess.run([self.args.make, name], cwd=folder, env=env, check=True)
        for block in blocks:
            if block.not_run:
                self.skip(block, block.not_run)
            elif block.is_session() and not self.args.socket and not alone:
                self.skip(block, "needs a guest")
            elif block.is_session():
                self.block(block, folder, env, numbers)

    def report(self):
        for line in self.skipped:
            print("not run:", line.splitlines()[0])
        print(f"{self.ran} commands were run, {len(self.skipped)} were not, {self.failed} failed")
        return 1 if self.failed else 0


def check(pages):
    """Every literal block is a session, a C program, or says why it is not run."""
    bad = 0
    for page in pages:
        for block in blocks_of(page)[0]:
            if not (block.is_session() or block.is_c() or block.not_run):
                print(f"{block.where()}: neither a session nor C, and without a reason")
                bad += 1
            elif block.is_session() and not block.lines[0].startswith("$ "):
                print(f"{block.where()}: a session begins with a command")
                bad += 1
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("check", "run"):
        sub = commands.add_parser(name)
        sub.add_argument("pages", nargs="+", type=pathlib.Path)
        if name == "run":
            sub.add_argument("--dir", required=True)
            sub.add_argument("--socket")
            sub.add_argument("--make")
            sub.add_argument("--bin", required=True, help="a directory with guestdump, for PATH")
    args = parser.parse_args()
    if args.command == "check":
        return check(args.pages)
    args.env = {"PATH": f"{args.bin}:/usr/sbin:/usr/bin:/sbin:/bin"}
    runner = Runner(args)
    for page in args.pages:
        runner.page(page)
    return runner.report()


if __name__ == "__main__":
    sys.exit(main())
