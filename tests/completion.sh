#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/completion.sh - what the program offers, and how bash, zsh and fish take it
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3
tmpdir
cd "$tmp"

socket=$tmp/vm.sock
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$socket"
mkdir "$tmp/vm.d"
: >"$tmp/vm.elf"

# --- the program: words and descriptions ---

# offers "WORD..." CANDIDATE...
offers() {
	local got want
	# shellcheck disable=SC2086,SC2294 # words with quotes
	got=$(eval "\"\$GUESTDUMP\" complete $1" | cut -f1 | sort | xargs)
	shift
	want=$(printf '%s\n' "$@" | sort | xargs)
	[ "$got" = "$want" ] || fail "offered '$got' instead of '$want'"
}

test_program() {
	local format codec word
	offers ver verify
	offers "help li" list
	offers "nonsense ''"
	offers "dump --prog" --progress
	offers "dump --progress=j" --progress=json
	offers "dump --progress ''" auto bar plain json none
	offers "dump -d 1" 1 16
	offers "convert -fkd" -fkdump
	offers "convert -x zero,c" zero,cache
	offers "dump --live=" --live=try
	# this host may have guests of its own
	"$GUESTDUMP" complete dump '' | grep -qP '^qmp:\ta running guest' || fail "no scheme is offered"
	offers "dump qmp:$tmp/" "qmp:$tmp/vm.sock" "qmp:$tmp/vm.d/"
	offers "dump -f elf --live qmp:x ''" :files
	offers "info -k ''" :files
	offers "verify -j ''"
	offers "convert ''" :files
	offers "cancel ''"
	offers "dmesg qmp" qmp: :files
	[ -z "$("$GUESTDUMP" complete dump -- -k)" ] || fail "dump has no -k"
	"$GUESTDUMP" complete dump --force | grep -qP '^--force\treplace OUTPUT' || fail "no description"
	# formats and codecs are those of the library, whatever they are
	guestdump_json list --json >list.json
	format=$(python3 -c 'import json; print(*(f["name"] for f in json.load(open("list.json"))["formats"] if f["writes"]))')
	# shellcheck disable=SC2086 # a list
	offers "convert -f ''" $format
	codec=$(python3 -c 'import json; print(*(c["name"] for c in json.load(open("list.json"))["codecs"] if c["library"]))')
	# shellcheck disable=SC2086 # a list
	offers "convert -C ''" $codec
	# all that is offered is taken
	for word in $("$GUESTDUMP" complete verify --progress '' | cut -f1); do
		fails_with 1 "$GUESTDUMP" verify --progress "$word" /dev/null 2>/dev/null
	done
	for word in $("$GUESTDUMP" complete convert -x '' | cut -f1); do
		fails_with 1 "$GUESTDUMP" convert -x "$word" /dev/null "$tmp/out" 2>/dev/null
	done
}

# --- the shells: each has a complete_SHELL LINE that prints what it would insert ---

complete_bash() (
	# shellcheck disable=SC2317 # is called by the completion
	compopt() { :; }
	# shellcheck source=/dev/null
	. "$root/completion/guestdump.bash"
	# shellcheck disable=SC2034 # what readline sets
	COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
	COMPREPLY=()
	_guestdump "$GUESTDUMP"
	printf '%s\n' "${COMPREPLY[@]}"
)

complete_fish() {
	fish --no-config -c "set PATH $(dirname "$GUESTDUMP") \$PATH
		source $root/completion/guestdump.fish
		complete -C '$1'" | cut -f1
}

# zsh completes in a terminal only: one of its own, where ^X shows the line
complete_zsh() {
	python3 "$root/tests/tools/zsh-complete.py" "$(dirname "$GUESTDUMP")" "$root/completion" "$1"
}

# completes SHELL LINE WORD: to that alone
completes() {
	local got
	got=$("complete_$1" "$2" | xargs)
	[ "$got" = "$3" ] || fail "$1: '$2' completes to '$got', not to '$3'"
}

test_bash() {
	completes bash 'guestdump ver' verify
	completes bash 'guestdump dump --prog' --progress
	completes bash 'guestdump dump --progress=j' json
	completes bash 'guestdump convert -f kd' kdump
	completes bash 'guestdump dump qmp' qmp:
	completes bash "guestdump dump qmp:$tmp/vm.s" "$socket"
	completes bash "guestdump verify $tmp/vm.e" "$tmp/vm.elf"
	completes bash "guestdump info --key=$tmp/vm.e" "$tmp/vm.elf"
}

test_fish() {
	completes fish 'guestdump ver' verify
	completes fish 'guestdump dump --prog' --progress
	completes fish 'guestdump dump --progress=j' --progress=json
	completes fish 'guestdump convert -f kd' kdump
	completes fish 'guestdump dump qmp' qmp:
	completes fish "guestdump dump qmp:$tmp/vm.s" "qmp:$socket"
	completes fish "guestdump verify $tmp/vm.e" "$tmp/vm.elf"
	completes fish "guestdump info --key=$tmp/vm.e" "--key=$tmp/vm.elf"
}

test_zsh() {
	completes zsh 'guestdump ver' 'guestdump verify'
	completes zsh 'guestdump dump --prog' 'guestdump dump --progress'
	completes zsh 'guestdump dump --progress=j' 'guestdump dump --progress=json'
	completes zsh 'guestdump convert -f kd' 'guestdump convert -f kdump'
	completes zsh 'guestdump dump qmp' 'guestdump dump qmp:'
	completes zsh "guestdump dump qmp:$tmp/vm.s" "guestdump dump qmp:$socket"
	completes zsh "guestdump verify $tmp/vm.e" "guestdump verify $tmp/vm.elf"
	completes zsh "guestdump info --key=$tmp/vm.e" "guestdump info --key=$tmp/vm.elf"
}

test_program
test_bash
missing=
for shell in zsh fish; do
	if command -v "$shell" >/dev/null; then "test_$shell"; else missing+=" $shell"; fi
done
[ -z "$missing" ] || skip "bash is fine; not installed:$missing"
