#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/usage.sh - a wrong command line is refused with a message that names what is wrong
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3
tmpdir
cd "$tmp"

# refused "ARGUMENT..." MESSAGE: with status 2, and nothing is written
refused() {
	# shellcheck disable=SC2294 # words with quotes
	eval "fails_with 2 \"\$GUESTDUMP\" $1" >out 2>err
	[ "$(head -n 1 err)" = "guestdump: $2" ] || fail "$1: '$(head -n 1 err)' instead of '$2'"
	[ ! -s out ] || fail "$1: something on standard output"
	[ "$(find . -type f | sort | xargs)" = "./err ./out" ] || fail "$1: there is a file: $(ls)"
}

# commands
refused "dupm" "'dupm' is not a command; did you mean 'dump'?"
refused "frobnicate" "'frobnicate' is not a command; guestdump --help lists them"
refused "help dupm" "'dupm' is not a command; did you mean 'dump'?"
refused "-d 31 -c in out" "the command comes first: guestdump convert -d 31 -c in out"
refused "--json guests" "the command comes first: guestdump guests --json"
refused "-d 31 qmp:x out" "the command comes first: guestdump dump -d 31 qmp:x out"
refused "--dump-dmesg in out" "'--dump-dmesg' is not a command; guestdump dmesg prints the kernel's log"
refused "-v" "'-v' is not a command; guestdump --version prints the version"
refused "--version --json" "there is one argument too many: '--json'"

# options that there are not
refused "convert --formt kdump in out" "unknown option '--formt'; did you mean '--format'?"
refused "convert --nonsense in out" "unknown option '--nonsense'"
refused "convert --no in out" "'--no' could be any of --no-checksum, --no-metadata, --no-confine"
refused "convert -Xq in out" "unknown option '-X'"
refused "convert -c31 in out" "unknown option '-3'"
refused "info -Xp in" "unknown option '-X'"

# options of other commands
for option in --detach --allow-encrypted --live --buffer --no-direct; do
	refused "convert $option in out" "'$option' is not an option of convert, but of dump"
done
refused "convert --timeout 5 in out" "'--timeout' is not an option of convert, but of dump, info, dmesg, stacks, report, extract, mount"
refused "dump -k key qmp:x out" "'-k' is not an option of dump, but of convert, info, verify, dmesg, stacks, report, extract, mount"
refused "dump --strict qmp:x out" "'--strict' is not an option of dump, but of convert, info, verify, dmesg, stacks, report, extract, mount"
refused "jobs -q" "'-q' is not an option of jobs, but of dump, convert, verify"

# values
refused "report --section cpus,nonsense in" "--section: 'nonsense' is not a section of the report; guestdump report --help lists them"
refused "stacks --task 0 in" "--task: '0' is not the number of a task (idle tasks: --cpu)"
refused "convert -d" "option '-d' needs a value: N"
refused "convert in out --format" "option '--format' needs a value: NAME"
refused "convert --quiet=yes in out" "'--quiet' takes no value"
refused "convert -C zlib:x in out" "--compress: 'x' is not a compression level"
refused "convert -C zstd: in out" "--compress: 'zstd:' is not CODEC or CODEC:LEVEL; add a level, or omit the colon"
refused "convert --strict in out" "--strict is about what --key decrypts: --key is missing"
refused "convert -x user,usr in out" "--exclude: 'usr' is not zero, cache, private, user or free"
refused "convert -d 11,32 in out" "--dump-level: '32' is not a dump level from 0 to 31"
refused "convert -j 0 in out" "--threads: '0' is not a number from 1 to 256"
refused "info --range 5 in" "--range: '5' is not ADDR:SIZE[@OFFSET]"
refused "info --range 0:foo in" "--range: 'foo' is not a size above 0"
refused "verify --progress fast in" "--progress: 'fast' is not auto, bar, plain, json or none"
refused "dump --live=maybe qmp:x out" "--live: 'maybe' is not \"try\""

# options of makedumpfile, virsh and crash: what to use instead
advice() {
	refused "$1 in out" "unknown option '${1#* }'; $2"
}
advice "convert -i" "no vmlinux and no vmcoreinfo file is needed"
advice "convert -g" "guestdump info --json prints the VMCOREINFO"
advice "convert -D" "-v reports what is done, -vv in detail"
advice "convert -R" "guestdump convert reads a flattened file like any other"
advice "convert --rearrange" "guestdump convert reads a flattened file like any other"
advice "convert --reassemble" "guestdump convert PART... OUTPUT joins the parts of a split dump"
advice "dmesg --dump-dmesg" "guestdump dmesg prints the kernel's log"
advice "convert --mem-usage" "guestdump info --pages shows how many pages there are of each kind"
advice "convert --message-level=31" "--quiet reports less, -v and -vv more"
advice "convert --cyclic-buffer" "omit it, guestdump does not need it"
advice "convert --vtop" "guestdump does not translate addresses; crash does: vtop"
advice "dump --memory-only" "omit it, a dump never contains devices"
advice "dump --crash" "the guest is always resumed; stop it afterwards: virsh destroy"
advice "info --osrelease" "guestdump info shows the kernel's release"
refused "convert -x vmlinux in out" "--exclude: 'vmlinux' is not zero, cache, private, user or free; no vmlinux and no vmcoreinfo file is needed"
refused "dmesg -x vmlinux in" "'-x' is not an option of dmesg, but of dump, convert; no vmlinux and no vmcoreinfo file is needed"
refused "convert -f -d 31 in out" "--format: '-d' is not the name of a format; -f is --format; --force replaces an existing file"
refused "convert --split -d 31 in out1 out2" "--split: '-d' is not a number from 1 to 1000; --split N writes OUTPUT-1 to OUTPUT-N"
refused "convert -F -c in" "missing OUTPUT: - is standard output"
# every row of the table is used: no option has the name of a row
grep -oP '^\t\{ "\K--?[A-Za-z-]+(?=", )' "$root/tool/options.c" >rows
[ "$(wc -l <rows)" -ge 30 ] || fail "rows were not found"
while read -r row; do
	case $row in -x | -f | -v | --split) continue ;; esac
	fails_with 2 "$GUESTDUMP" convert "$row" in out 2>err
	grep -q "^guestdump: unknown option '$row'; ." err || fail "no advice for $row"
done <rows
rm rows
# and what means the same works
refused "convert --num-threads 0 in out" "--threads: '0' is not a number from 1 to 256"
for option in "-d 31" -c -l -p -z -E -F "--num-threads 2" "--split 2" -cd31 --dry-run; do
	# shellcheck disable=SC2086 # options
	fails_with 1 "$GUESTDUMP" convert $option missing vm.out 2>err
	grep -q "missing: .*: No such file" err || fail "$option: $(cat err)"
done

# options that exclude each other
exclude() { refused "$1 qmp:x out" "$2 exclude each other"; }
exclude "dump --live --no-direct" "--live and --no-direct"
exclude "dump --detach --dry-run" "--detach and --dry-run"
exclude "convert -F --split 2" "--flatten and --split"
exclude "convert -c -z" "-c and -z"
exclude "convert -l --compress zstd:3" "-l and --compress"
exclude "convert -f kdump -E" "--format and -E"
exclude "convert -q --progress bar" "--quiet and --progress"
fails_with 1 "$GUESTDUMP" dump --live=try --no-direct -d 1 -x free -q -q qmp:x new 2>err
grep -q "cannot connect" err || fail "options that go together: $(cat err)"

# what stands behind the options
refused "dump" "missing GUEST and OUTPUT; for example: guestdump dump qmp:/run/vm.sock vm.kdump"
refused "dump qmp:x" "missing OUTPUT; for example: guestdump dump qmp:/run/vm.sock vm.kdump"
refused "convert" "missing INPUT and OUTPUT; for example: guestdump convert vm.kdump vm.elf"
refused "cancel" "missing ID; for example: guestdump cancel 24442"
refused "cancel x" "'x' is not the number of a job; guestdump jobs lists them"
refused "dump qmp:x out more" "there is one argument too many: 'more'"
refused "list all" "there is one argument too many: 'all'"
refused "dump qmp:x ''" "argument 2 is an empty name"
refused "dump err out" "err is not a running guest such as qmp:/run/vm.sock; for a file use guestdump convert"
refused "dump . out" ". is not a running guest such as qmp:/run/vm.sock; for a file use guestdump convert"

# what looks like a guest, the same in every command
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' vm.sock
for command in dump convert info dmesg stacks report verify; do
	output=
	case $command in dump | convert) output=new ;; esac
	for row in \
		"2 ./vm.sock this is a socket, not a dump; did you mean qmp:./vm.sock?" \
		"2 unix:./vm.sock,server=on there is no such file; did you mean qmp:./vm.sock?" \
		"2 QMP:/run/vm.sock there is no such file; did you mean qmp:/run/vm.sock?" \
		"2 xen:vm there is no such file, and \"xen:\" does not name a kind of running guest; a running guest is named qmp:SOCKET, libvirt:NAME, libvirt+URI:NAME, pid:N" \
		"1 myvm this is no file, and a running guest is named as in libvirt:myvm (\"guestdump guests\" lists them): No such file or directory" \
		"1 4999999 this is no file, and a running guest is named as in pid:4999999 (\"guestdump guests\" lists them): No such file or directory"; do
		read -r status name message <<<"$row"
		# shellcheck disable=SC2086 # perhaps nothing
		fails_with "$status" "$GUESTDUMP" $command "$name" $output 2>err
		[ "$(cat err)" = "guestdump: $name: $message" ] || fail "$command $name: $(cat err)"
	done
done
for row in ":the name of the socket is missing, as in qmp:/run/vm.sock" \
	"./err:this is a file, not a socket of QEMU" ".:this is a directory, not a socket of QEMU" \
	"/dev/null:this is a device or a pipe, not a socket of QEMU"; do
	fails_with 2 "$GUESTDUMP" info "qmp:${row%%:*}" 2>err
	[ "$(cat err)" = "guestdump: qmp:${row%%:*}: ${row#*:}" ] || fail "qmp:$row: $(cat err)"
done
rm vm.sock
refused "info xen:domain" "xen:domain: there is no such file, and \"xen:\" does not name a kind of running guest; a running guest is named qmp:SOCKET, libvirt:NAME, libvirt+URI:NAME, pid:N"
fails_with 1 "$GUESTDUMP" info ./missing:file 2>err
grep -q 'No such file' err || fail "a path with a colon: $(cat err)"

# a monitor that somebody else uses: at once by name, or when the time that was given is over
python3 -c '
import os, socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("busy.sock")
s.listen(1)
c = socket.socket(socket.AF_UNIX)
c.connect("busy.sock")
a = s.accept()
print(os.getpid(), flush=True)
time.sleep(60)' >pid &
cleanup_fn kill $!
while [ ! -s pid ]; do sleep 0.1; done
in_use="guestdump: qmp:busy.sock: this monitor is in use by [a-z0-9.]* (process $(cat pid)), and serves one client at a time: "
rm pid
for command in info dmesg; do
	fails_with 1 timeout 10 "$GUESTDUMP" $command qmp:busy.sock 2>err
	grep -q "^$in_use" err || fail "$command of a guest whose socket is in use: $(cat err)"
done
# now also the queue of the socket is full
fails_with 1 timeout 10 "$GUESTDUMP" info --timeout 3 qmp:busy.sock 2>err
head -n 1 err | grep -qx "guestdump: warning: QEMU's monitor is silent or in use; still waiting for it" || fail "no word: $(cat err)"
tail -n 1 err | grep -q "^$in_use" || fail "--timeout: $(cat err)"
rm busy.sock

# files that are no dumps
unknown() {
	# shellcheck disable=SC2059 # escapes
	printf "$2" >file
	fails_with 1 "$GUESTDUMP" info file 2>err
	[ "$(cat err)" = "guestdump: file: $3" ] || fail "$1: $(cat err)"
	rm file
}
for row in "gzip:it ends early" "zstd:it ends early"; do
	command -v "${row%:*}" >/dev/null || continue
	unknown "${row%:*}" "$(echo x | ${row%:*} -c | head -c 6 | od -An -to1 -v | sed 's/ /\\/g')" \
		"the ${row%:*} file: after 0 bytes of decompressed data: ${row#*:}"
done
unknown lzop '\211LZO' "this file is compressed with lzop; decompress it first, as in: lzop -dc FILE | guestdump info -"
unknown "one byte" x 'unknown format (the first bytes are 78); "guestdump list" shows what can be read'
unknown "no byte" "" "the file is empty: no dump was written to it"
fails_with 1 "$GUESTDUMP" info /dev/zero 2>err
grep -qx "guestdump: /dev/zero: this is a device, not a dump" err || fail "device: $(cat err)"
fails_with 1 "$GUESTDUMP" info - </dev/null 2>err
grep -qx "guestdump: -: standard input is a device, not a dump" err || fail "device: $(cat err)"
echo x >a
fails_with 1 "$GUESTDUMP" info a err 2>out
tail -n 1 out | grep -qx "guestdump: several inputs are the files of one dump; run guestdump info once for each dump" ||
	fail "two dumps: $(cat out)"
rm a

# after su or sudo, the variable names the directory of another user
if [ "$(id -u)" = 0 ]; then
	mkdir other
	chown 65534 other
	XDG_RUNTIME_DIR=$tmp/other "$GUESTDUMP" jobs >/dev/null 2>err || fail "jobs: $(cat err)"
	[ ! -e other/guestdump ] || fail "a directory for jobs was made in that of another user"
fi

# and where help is
refused "dump qmp:x ''" "argument 2 is an empty name"
grep -qx 'usage: guestdump dump \[OPTION\]... GUEST OUTPUT' err || fail "no usage: $(cat err)"
"$GUESTDUMP" dump --help >help
"$GUESTDUMP" --help >>help
awk 'length > 80' help | grep . && fail "lines of --help are too long"
for command in $("$GUESTDUMP" complete '' | cut -f1 | grep -v -e '^-' -e help); do
	"$GUESTDUMP" "$command" --help | cmp - <("$GUESTDUMP" help "$command") || fail "help $command"
done
