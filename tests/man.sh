#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# tests/man.sh - manual pages, --help, completion and header say the same

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires mandoc perl cc

man=$root/man
header=$root/include/guestdump.h
completion=$root/completion/guestdump.bash
tmpdir

# same WHAT NAME1 NAME2: two files of words hold the same ones
same() {
	diff <(sort -u "$2") <(sort -u "$3") >"$tmp/diff" && return
	cat "$tmp/diff" >&2
	fail "$1: < ${2##*/}, > ${3##*/}"
}

test_pages_are_well_formed() {
	for page in "$man"/*.[1-9]; do
		mandoc -T lint -W warning "$page" || fail "mandoc complains about $page"
		grep -qF "'$(basename "$page")'" "$man/meson.build" || fail "$page is not installed"
	done
}

# --- the library ---

header_code() { perl -0777 -pe 's{/\*.*?\*/}{}gs' "$header"; }

# words that libguestdump.3 does not have are an error
documented() {
	local what=$1 word
	while read -r word; do
		grep -qw -- "$word" "$man/libguestdump.3" || fail "libguestdump.3 does not tell of $what $word"
	done
}

test_functions_are_documented() {
	header_code | grep -v '^typedef' | grep -oE '\bgdump_[a-z_]+\(' | tr -d '(' >"$tmp/header"
	sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/s/^\.F[no] \(gdump_[a-z_]*\).*/\1/p' \
		"$man/libguestdump.3" >"$tmp/libguestdump.3"
	[ "$(wc -l <"$tmp/header")" -gt 20 ] || fail "functions were not found in the header"
	same functions "$tmp/header" "$tmp/libguestdump.3"
}

test_members_and_constants_are_documented() {
	local struct
	for struct in open_options slot guest info protection range note register log_record kernel task result write_options job_status job_options format_info codec_info; do
		header_code | sed -n "/^struct gdump_$struct {/,/^};/p" | grep -oE '[a-z0-9_]+[,;]' |
			tr -d ',;' | grep -vx reserved >"$tmp/members"
		[ -s "$tmp/members" ] || fail "struct gdump_$struct was not found"
		documented "gdump_$struct" <"$tmp/members"
	done
	header_code | grep -oE '\bGDUMP_(ERR|DROP|RANGE|JOB|MEMORY)_[A-Z0-9_]+' | documented constant
}

test_the_example_compiles() {
	sed -n '/^\.Sh EXAMPLES/,/^\.Sh ERRORS/p' "$man/libguestdump.3" |
		sed -n '/^\.Bd/,/^\.Ed/{/^\./d;s/\\e/\\/g;p}' >"$tmp/example.c"
	grep -q main "$tmp/example.c" || fail "no example in libguestdump.3"
	cc -Wall -Wextra -Werror -fsyntax-only -I"$root/include" "$tmp/example.c"
}

test_the_vmm_is_the_example() {
	sed -n "/^\.Sh A VMM'S OWN GUEST/,/^\.Sh PLANS/p" "$man/libguestdump.3" |
		sed -n '/^\.Bd/,/^\.Ed/{/^\./d;s/\\e/\\/g;p}' >"$tmp/vmm.c"
	sed '1,/^ \*\/$/d' "$root/examples/vmm.c" | diff - "$tmp/vmm.c" >&2 ||
		fail "libguestdump.3 and examples/vmm.c differ"
}

# --- the program ---

commands() { "$GUESTDUMP" --help | sed -n 's/^  guestdump \([a-z]*\) .*/\1/p'; }

# "  -f, --format NAME    text" -> -f --format
help_options() {
	"$GUESTDUMP" "$1" --help | sed -n 's/^ \{2,6\}\(-.*\)/\1/p' | sed 's/  .*//' |
		grep -oE -- '(^|[ ,])--?[A-Za-z][a-z-]*' | tr -d ' ,'
}

# ".It Fl f , Fl -format Ar name" -> -f --format
man_options() {
	awk '/^\.Sh/ { on = /OPTIONS/ }
		on && /^\.It Fl / {
			for (i = 2; i <= NF; i++)
				if ($i ~ /^[A-Z][a-z]$/) flag = $i == "Fl"
				else if (flag && $i != ",") print "-" $i
		}' "$man/guestdump-$1.1"
}

completion_options() (
	# shellcheck source=/dev/null
	. "$completion"
	_guestdump_options "$1" | tr ' ' '\n'
)

test_options_are_the_same_everywhere() {
	local command
	commands >"$tmp/commands"
	[ "$(wc -l <"$tmp/commands")" -ge 5 ] || fail "commands were not found"
	while read -r command; do
		[ -e "$man/guestdump-$command.1" ] || fail "no page for guestdump $command"
		grep -q "^\.Cm $command$" "$man/guestdump.1" || fail "guestdump.1 does not tell of $command"
		for where in help man completion; do
			${where}_options "$command" >"$tmp/$where"
			[ -s "$tmp/$where" ] || fail "guestdump $command: no options in $where"
		done
		same "options of $command" "$tmp/help" "$tmp/man"
		same "options of $command" "$tmp/help" "$tmp/completion"
	done <"$tmp/commands"
}

# list_names HEADING [FLAG]: what "guestdump list" has under it
list_names() {
	"$GUESTDUMP" list | awk -v heading="$1" -v flag="${2:-}" '
		/^[^ ]/ { on = $0 == heading; next }
		on && (flag == "" || index($2, flag)) { print $1 }'
}

test_formats_and_codecs_are_documented() {
	local name page
	[ -n "$(list_names formats)" ] || fail "no formats in guestdump list"
	[ -n "$(list_names codecs)" ] || fail "no codecs in guestdump list"
	for name in $(list_names formats); do
		grep -qiw "$name" "$man/guestdump-formats.7" || fail "guestdump-formats.7 does not tell of $name"
	done
	for page in dump convert; do
		page=$man/guestdump-$page.1
		for name in $(list_names formats w); do
			sed -n '/^\.It Fl f /,/^\.It Fl E$/p' "$page" | grep -qw "Cm $name" || fail "$page, -f: no $name"
		done
		for name in $(list_names codecs); do
			grep -qx "\.It Cm $name" "$page" || fail "$page, -C: no $name"
		done
	done
}

# --- completion ---

# complete LINE: what is offered at its end, separated by blanks
complete_line() (
	# shellcheck disable=SC2317 # is called by the completion
	compopt() { :; }
	# shellcheck source=/dev/null
	. "$completion"
	# shellcheck disable=SC2034 # what readline sets
	COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
	COMPREPLY=()
	_guestdump "$GUESTDUMP"
	echo "${COMPREPLY[*]}"
)

completes() {
	local got
	got=$(complete_line "$1")
	[ "$got" = "$2" ] || fail "'$1' completes to '$got', not to '$2'"
}

test_completion() {
	local socket=$tmp/vm.sock word
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$socket"
	: >"$tmp/vm.elf"
	completes 'guestdump ver' verify
	completes 'guestdump help li' list
	completes 'guestdump dump --prog' --progress
	completes 'guestdump dump --progress=j' json
	completes 'guestdump convert -f kd' kdump
	completes 'guestdump convert -C zl' zlib
	completes 'guestdump dump qm' qmp:
	completes "guestdump dump qmp:$tmp/vm" "$socket"
	completes "guestdump verify $tmp/vm.e" "$tmp/vm.elf"
	for word in $(complete_line 'guestdump verify --progress '); do
		fails_with 1 "$GUESTDUMP" verify --progress "$word" /dev/null 2>/dev/null
	done
	for word in $(complete_line 'guestdump convert -x '); do
		fails_with 1 "$GUESTDUMP" convert -x "$word" /dev/null "$tmp/out" 2>/dev/null
	done
	for word in $(complete_line 'guestdump convert -d '); do
		fails_with 1 "$GUESTDUMP" convert -d "$word" /dev/null "$tmp/out" 2>/dev/null
	done
}

test_pages_are_well_formed
test_functions_are_documented
test_members_and_constants_are_documented
test_the_example_compiles
test_the_vmm_is_the_example
test_options_are_the_same_everywhere
test_formats_and_codecs_are_documented
test_completion
