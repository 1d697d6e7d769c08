#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/output.sh - names of any bytes, levels, messages as a whole, pipes and terminals
# test: output 120
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3
tmpdir
cd "$tmp"

head -c 1M /dev/urandom >raw
"$GUESTDUMP" convert -q --input-format raw --range 0:1M raw plain

# --- names ---

# Nothing of a name is a command to the terminal
test_names_on_a_terminal() {
	local command name=$'bell\a\e[2J'
	cp plain "$name"
	for command in info verify; do
		"$GUESTDUMP" "$command" "$name" >out
		grep -qF 'bell\x07\x1b[2J: ' out || fail "$command: $(cat -v out)"
	done
	fails_with 1 "$GUESTDUMP" info "$name.not" 2>err
	grep -qF 'bell\x07\x1b[2J' err || fail "a control character in a message: $(cat -v err)"
	fails_with 2 "$GUESTDUMP" convert "--$name" in out 2>err
	grep -qF 'bell\x07\x1b[2J' err || fail "a control character in a message: $(cat -v err)"
}

# JSON is UTF-8, a name need not be
test_names_in_json() {
	local command name=$'bad\xff\xc3\xc3\xbc.kdump'
	cp plain "$name"
	for command in info verify; do
		guestdump_json "$command" --json "$name" | python3 -c '
import json, sys
o = json.load(sys.stdin)
sys.exit(o["input"] != r"bad\xff\xc3ü.kdump")' || fail "$command --json"
	done
	fails_with 1 guestdump_json verify --json "$name.not" >out 2>err
	python3 -c '
import json, sys
o = json.load(open("out"))
sys.exit(o["ok"] or r"bad\xff\xc3ü.kdump.not" not in o["error"]["message"])' || fail "verify --json: $(cat out)"
	# a job has its names in JSON, too; it fails here because there is no guest
	export XDG_RUNTIME_DIR=$tmp
	fails_with 1 "$GUESTDUMP" dump --detach qmp:nothing $'bad\xff.out' >out 2>err
	grep -q 'qmp:nothing: cannot connect' err || fail "dump --detach: $(cat err)"
}

# --- levels ---

# -d and -x add up, whichever comes first
test_levels_and_kinds_add_up() {
	local options
	for options in "-d 1 -x user" "-x user -d 1" "-x zero -x user" "-d 16 -d 1,16 -x user"; do
		# shellcheck disable=SC2086 # several options
		fails_with 6 guestdump_json convert --dry-run --progress json $options plain >out 2>err
		valid_json err
		grep -q '"dump_level":9}' err || fail "$options: $(cat err)"
	done
}

# What was asked for and could not be done at all is no success
test_unfiltered_is_a_status() {
	fails_with 6 "$GUESTDUMP" convert -d 31 plain unfiltered 2>err
	grep -q 'warning: pages are not filtered: there is no VMCOREINFO' err || fail "$(cat err)"
	"$GUESTDUMP" convert -q -d 1 plain zero 2>err || fail "level 1: $(cat err)"
	fails_with 1 "$GUESTDUMP" info --pages plain >out
	grep -q '^pages  *of unknown kinds: .*there is no VMCOREINFO' out || fail "$(cat out)"
	rm unfiltered zero
}

# --- pipes ---

test_broken_pipe_is_no_news() {
	local command
	for command in "info --json plain" "info plain" list "convert --help"; do
		# shellcheck disable=SC2086 # words
		{ sleep 0.2; "$GUESTDUMP" $command 2>err || true; } | true
		[ ! -s err ] || fail "$command: $(cat err)"
	done
	fails_with 1 "$GUESTDUMP" info plain >/dev/full 2>err
	grep -q 'cannot write to standard output: No space left' err || fail "a full disk: $(cat err)"
}

# A wait for another program is not silent
test_fifo_without_reader() {
	local options pid
	mkfifo fifo
	for options in -Fq -F; do
		"$GUESTDUMP" convert "$options" plain fifo 2>"err$options" &
		pid=$!
		sleep 1
		cp "err$options" err
		cat fifo >flat
		wait "$pid" || fail "convert $options to a FIFO: $(cat err)"
		"$GUESTDUMP" verify -q flat >/dev/null
	done
	[ ! -s err-Fq ] || fail "convert -q to a FIFO: $(cat err-Fq)"
	grep -qxF 'guestdump: fifo: waiting until a program opens this FIFO to read it' err ||
		fail "no reader: $(cat err)"
	rm err          # which says so already, of the one before
	"$GUESTDUMP" convert -f elf plain fifo 2>err &
	pid=$!
	for ((i = 0; i < 100; i++)); do ! grep -qs waiting err || break; sleep 0.1; done
	kill "$pid"
	fails_with 4 wait "$pid"
	grep -qxF 'guestdump: canceled; nothing was written' err || fail "a FIFO, canceled: $(cat err)"
}

# Names of descriptors are standard output, and nothing is replaced in their directories, not even by force
test_names_of_descriptors() {
	local link name
	link=$(readlink /dev/stdout)
	"$GUESTDUMP" convert -q -f elf plain - >want
	for name in /dev/stdout /dev/fd/1 /proc/self/fd/1; do
		"$GUESTDUMP" convert -q --force -f elf plain $name >got || fail "$name"
		cmp want got || fail "$name gets something else"
	done
	"$GUESTDUMP" convert -q -f elf plain >(cat >got && : >got.end)
	until [ -e got.end ]; do sleep 0.1; done
	cmp want got || fail "a process substitution gets something else"
	[ "$(readlink /dev/stdout)" = "$link" ] || fail "/dev/stdout is another one"
	rm want got got.end
}

# A codec without levels
test_codec_without_levels() {
	"$GUESTDUMP" list | grep -q '^  lzo .*not in this build' && return
	fails_with 2 "$GUESTDUMP" convert -C lzo:3 plain out2 2>err
	grep -qx 'guestdump: codec lzo has no levels: 3 cannot be chosen' err || fail "$(cat err)"
}

# What cannot be written is found before the guest, which is never reached here
test_outputs_are_checked_first() {
	local out force
	mkdir a-directory
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("a-socket")'
	ln -s /dev/null a-link-to-a-device
	ln -s elsewhere locked.incomplete
	ln -s to-nowhere a-dangling-link
	fails_with 1 "$GUESTDUMP" dump qmp:nothing a-dangling-link 2>err
	grep -q '^guestdump: a-dangling-link: this file already exists' err || fail "a dangling link: $(cat err)"
	echo half >half.incomplete
	for force in '' --force; do
		for out in nowhere/out a-directory a-directory/ a-socket a-link-to-a-device plain/out locked; do
			# shellcheck disable=SC2086 # or none
			"$GUESTDUMP" dump $force qmp:nothing "$out" 2>err && fail "$out: a dump of nothing"
			grep -q "^guestdump: $out[:.]" err || fail "dump $force to $out: $(cat err)"
			[ ! -e "$out.incomplete" ] || fail "dump $force to $out leaves a file"
		done
	done
	fails_with 1 "$GUESTDUMP" dump --force --split 2 qmp:nothing nowhere/out 2>err
	grep -q '^guestdump: nowhere/out-1: cannot open its directory' err || fail "--split: $(cat err)"
	fails_with 1 "$GUESTDUMP" dump --force qmp:nothing half 2>err
	grep -q '^guestdump: qmp:nothing: ' err || fail "an incomplete file may be replaced: $(cat err)"
	[ "$(cat half.incomplete)" = half ] || fail "the earlier dump was replaced by nothing"
	rm locked.incomplete half.incomplete
}

# Of two that write to one log, lines stay whole
test_a_message_is_one_write() {
	requires strace
	strace -f -o trace -e trace=write "$GUESTDUMP" convert -v plain "$tmp/out1" 2>err ||
		skip "strace is not allowed here"
	[ "$(grep -c 'write(2, ' trace)" = "$(wc -l <err)" ] ||
		fail "$(wc -l <err) messages: $(grep 'write(2, ' trace)"
	fails_with 2 strace -f -o trace -e trace=write "$GUESTDUMP" convert --nonsense 2>err
	[ "$(grep -c 'write(2, ' trace)" = 1 ] || fail "$(grep 'write(2, ' trace)"
}

# --- terminals ---

# on_terminal COLUMNS TERM COMMAND...: what it writes to one
on_terminal() {
	python3 - "$@" <<'PYTHON'
import fcntl, os, pty, struct, sys, termios
columns, term, *command = sys.argv[1:]
pid, fd = pty.fork()
if not pid:
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
    os.environ["TERM"] = term
    os.execv(command[0], command)
out = b""
try:
    while data := os.read(fd, 4096):
        out += data
except OSError:
    pass
os.waitpid(pid, 0)
sys.stdout.buffer.write(out)
PYTHON
}

# frames FILE: the longest line of the progress that a terminal gets
longest_frame() { tr '\r' '\n' <"$1" | sed 's/\x1b\[K//g' | grep '%' | awk '{ if (length > n) n = length } END { print n + 0 }'; }

test_bar_fits_the_terminal() {
	local columns n
	for columns in 20 30 40 80 200; do
		rm -f out2
		on_terminal $columns xterm "$GUESTDUMP" convert plain out2 >frames
		n=$(longest_frame frames)
		((n > 0 && n < columns)) || fail "$columns columns: a line of $n: $(cat -v frames)"
	done
	rm -f out2
	on_terminal 80 dumb "$GUESTDUMP" convert plain out2 >frames
	! grep -q $'\e' frames || fail "escapes for a dumb terminal: $(cat -v frames)"
}

# a file in a directory "ftp:" is not what is meant
test_other_urls() {
	local status=0
	"$GUESTDUMP" convert -q plain ftp://host/vm.kdump 2>err || status=$?
	[ $status = 2 ] || fail "exit status $status: $(cat err)"
	grep -q "for ftp://, pass standard output (-) on" err || fail "$(cat err)"
}

test_other_urls
test_names_on_a_terminal
test_names_in_json
test_levels_and_kinds_add_up
test_unfiltered_is_a_status
test_broken_pipe_is_no_news
test_bar_fits_the_terminal
test_fifo_without_reader
test_names_of_descriptors
test_codec_without_levels
test_outputs_are_checked_first
test_a_message_is_one_write
