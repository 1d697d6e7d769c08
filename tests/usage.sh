#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/usage.sh - a wrong command line is refused with a message that names what is wrong
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
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
refused "-d 31 in out" "the command comes first, then '-d': guestdump dump, guestdump convert, ..."
refused "--version --json" "there is one argument too many: '--json'"

# options that there are not
refused "convert --formt kdump in out" "unknown option '--formt'; did you mean '--format'?"
refused "convert --nonsense in out" "unknown option '--nonsense'"
refused "convert --no in out" "'--no' could be any of --no-checksum, --no-confine"
refused "convert -Xq in out" "unknown option '-X'"
refused "convert -c31 in out" "unknown option '-3'"
refused "info -Xp in" "unknown option '-X'"

# options of other commands
for option in --detach --allow-encrypted --live --buffer --no-direct --timeout; do
	refused "convert $option in out" "'$option' is not an option of convert, but of dump"
done
refused "dump -k key qmp:x out" "'-k' is not an option of dump, but of convert, info, verify, dmesg"
refused "dump --strict qmp:x out" "'--strict' is not an option of dump, but of convert, info, verify, dmesg"
refused "jobs -q" "'-q' is not an option of jobs, but of dump, convert, verify"

# values
refused "convert -d" "option '-d' needs a value: N"
refused "convert in out --format" "option '--format' needs a value: NAME"
refused "convert --quiet=yes in out" "'--quiet' takes no value"
refused "convert -C zlib:x in out" "--compress: 'x' is not a compression level"
refused "convert -x user,usr in out" "--exclude: 'usr' is not zero, cache, private, user or free"
refused "convert -d 11,32 in out" "--dump-level: '32' is not a dump level from 0 to 31"
refused "convert -j 0 in out" "--threads: '0' is not a number from 1 to 256"
refused "info --range 5 in" "--range: '5' is not ADDR:SIZE[@OFFSET]"
refused "info --range 0:foo in" "--range: 'foo' is not a size above 0"
refused "verify --progress fast in" "--progress: 'fast' is not auto, bar, plain, json or none"
refused "dump --live=maybe qmp:x out" "--live: 'maybe' is not \"try\""

# what stands behind the options
refused "dump" "missing GUEST and OUTPUT: guestdump dump qmp:/run/vm.sock vm.kdump"
refused "dump qmp:x" "missing OUTPUT: guestdump dump qmp:/run/vm.sock vm.kdump"
refused "convert" "missing INPUT and OUTPUT: guestdump convert vm.kdump vm.elf"
refused "cancel" "missing ID: guestdump cancel 24442"
refused "cancel x" "'x' is not the number of a job; guestdump jobs lists them"
refused "dump qmp:x out more" "there is one argument too many: 'more'"
refused "list all" "there is one argument too many: 'all'"
refused "dump qmp:x ''" "argument 2 is an empty name"
refused "dump in out" "in is not a running guest such as qmp:/run/vm.sock; for a file use guestdump convert"

# what looks like a guest
refused "info xen:domain" "xen:domain: there is no such file, and \"xen:\" does not name a kind of running guest; a running guest is named qmp:SOCKET"
fails_with 1 "$GUESTDUMP" info ./missing:file 2>err
grep -q 'No such file' err || fail "a path with a colon: $(cat err)"

# and where help is
refused "dump qmp:x ''" "argument 2 is an empty name"
grep -qx 'usage: guestdump dump \[OPTION\]... GUEST OUTPUT' err || fail "no usage: $(cat err)"
"$GUESTDUMP" dump --help >help
"$GUESTDUMP" --help >>help
awk 'length > 80' help | grep . && fail "lines of --help are too long"
for command in $("$GUESTDUMP" complete '' | cut -f1 | grep -v -e '^-' -e help); do
	"$GUESTDUMP" "$command" --help | cmp - <("$GUESTDUMP" help "$command") || fail "help $command"
done
