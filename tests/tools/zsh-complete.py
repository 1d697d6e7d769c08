#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""zsh-complete.py BIN COMPLETIONS LINE - what zsh makes of LINE when Tab is pressed

BIN is where guestdump is, COMPLETIONS where guestdump.zsh is. zsh completes in a terminal
only, so it gets one; the line is printed by a widget that Ctrl-X calls.
"""
import os
import pty
import re
import shutil
import sys
import tempfile

RC = """
PS1=ready:
fpath=({dir} $fpath)
path=({bin} $path)
autoload -Uz compinit && compinit -u -D
show() {{ print -r -- "<<$BUFFER>>" }}
zle -N show
bindkey '^X' show
bindkey '^I' complete-word
"""


def read_until(fd, pattern):
    seen = b""
    while not re.search(pattern, seen):
        data = os.read(fd, 4096)
        if not data:
            break
        seen += data
    return seen


def main():
    bin_dir, completions, line = sys.argv[1:]
    with tempfile.TemporaryDirectory() as home:
        shutil.copy(os.path.join(completions, "guestdump.zsh"), os.path.join(home, "_guestdump"))
        with open(os.path.join(home, ".zshrc"), "w", encoding="ascii") as rc:
            rc.write(RC.format(dir=home, bin=bin_dir))
        pid, fd = pty.fork()
        if not pid:
            os.environ.update(ZDOTDIR=home, HOME=home, TERM="dumb", COLUMNS="500")
            os.execvp("zsh", ["zsh", "-d", "-i"])
        read_until(fd, rb"ready:")
        os.write(fd, line.encode() + b"\t\x18")
        seen = read_until(fd, rb"(?s)<<.*>>")
        os.write(fd, b"\x15exit\n")
        os.close(fd)
        os.waitpid(pid, 0)
    print(re.search(rb"(?s)<<(.*)>>", seen).group(1).decode().strip())


main()
