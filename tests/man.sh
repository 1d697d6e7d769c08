#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/man.sh - manual pages, the table of options and the header say the same

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires mandoc perl cc

man=$root/man
header=$root/include/guestdump.h
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
		grep -qw -- "$word" "$man/libguestdump.3" || fail "libguestdump.3 does not mention $what $word"
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
	for struct in open_options slot guest info protection range note register log_record kernel task process frame stack stacks_options fact report_options result write_options job_status job_options guests_options host_guest guest_way format_info codec_info; do
		header_code | sed -n "/^struct gdump_$struct {/,/^};/p" | grep -oE '[a-z0-9_]+[,;]' |
			tr -d ',;' | grep -vx reserved >"$tmp/members"
		[ -s "$tmp/members" ] || fail "struct gdump_$struct was not found"
		documented "gdump_$struct" <"$tmp/members"
	done
	header_code | grep -oE '\bGDUMP_(ERR|DROP|RANGE|JOB|MEMORY|LIVE|DEBUG|GUEST|STACKS?|FRAME|FACT|UNIT)_[A-Z0-9_]+' | documented constant
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

commands() { "$GUESTDUMP" complete '' | cut -f1 | grep -vxE 'help|-.*'; }

# -f --format ...: the rows of the table
table_options() { "$GUESTDUMP" complete "$1" - | cut -f1; }

# ".It Fl f , Fl -format Ar name" -> -f --format
man_options() {
	awk '/^\.Sh/ { on = /OPTIONS/ }
		on && /^\.It Fl / {
			for (i = 2; i <= NF; i++)
				if ($i ~ /^[A-Z][a-z]$/) flag = $i == "Fl"
				else if (flag && $i != ",") print "-" $i
		}' "$man/guestdump-$1.1"
}

test_options_are_documented() {
	local command
	commands >"$tmp/commands"
	[ "$(wc -l <"$tmp/commands")" -ge 5 ] || fail "commands were not found"
	while read -r command; do
		[ -e "$man/guestdump-$command.1" ] || fail "no page for guestdump $command"
		grep -q "^\.Cm $command$" "$man/guestdump.1" || fail "guestdump.1 does not mention $command"
		for where in table man; do
			${where}_options "$command" >"$tmp/$where"
			[ -s "$tmp/$where" ] || fail "guestdump $command: no options in $where"
		done
		same "options of $command" "$tmp/table" "$tmp/man"
	done <"$tmp/commands"
}

test_keys_of_watch_are_documented() {
	"$GUESTDUMP" watch --check --config /dev/null | sed -n 's/^\([A-Z][A-Za-z]*\)=.*/\1/p' >"$tmp/keys"
	echo WhenLog >>"$tmp/keys" # a list, which is empty
	sed -n 's/^\.It Va \([A-Z][A-Za-z]*\) Ns = Ns .*/\1/p' "$man/guestdump-watch.conf.5" >"$tmp/guestdump-watch.conf.5"
	[ "$(wc -l <"$tmp/keys")" -gt 15 ] || fail "keys were not found"
	same keys "$tmp/keys" "$tmp/guestdump-watch.conf.5"
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
		grep -qiw "$name" "$man/guestdump-formats.7" || fail "guestdump-formats.7 does not mention $name"
	done
	for page in dump convert; do
		page=$man/guestdump-$page.1
		for name in $(list_names formats w); do
			"$GUESTDUMP" convert --help | grep -A2 -e --format | grep -qw "$name" || fail "--help, -f: no $name"
			sed -n '/^\.It Fl f /,/^\.It Fl E$/p' "$page" | grep -qw "Cm $name" || fail "$page, -f: no $name"
		done
		for name in $(list_names codecs); do
			grep -qx "\.It Cm $name" "$page" || fail "$page, -C: no $name"
		done
	done
}

test_pages_are_well_formed
test_functions_are_documented
test_members_and_constants_are_documented
test_the_example_compiles
test_the_vmm_is_the_example
test_options_are_documented
test_keys_of_watch_are_documented
test_formats_and_codecs_are_documented
