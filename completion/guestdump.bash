# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Completion of guestdump(1) for bash.  Formats and codecs are those that the
# program itself lists; all else is below, and tests/man.sh holds it to --help.

_guestdump_options() {
	case $1 in
	dump | convert)
		echo -f --format -E -F --flatten -C --compress -c -l -p -z -d --dump-level -x --exclude \
			--dry-run --begin --length --paging --split -j --threads --progress -q --quiet --force --no-checksum
		if [ "$1" = convert ]; then echo --input-format --range -k --key --strict --no-confine -v --verbose; else echo --buffer --detach --live --no-direct --no-confine --allow-encrypted --timeout -v --verbose; fi
		;;
	info) echo -p --pages -r --registers -t --tasks --json --input-format --range -k --key --strict --no-confine -v --verbose ;;
	verify) echo --json -j --threads --progress -q --quiet --input-format --range -k --key --strict --no-confine -v --verbose ;;
	dmesg) echo --json --callers --input-format --range -k --key --strict --no-confine -v --verbose ;;
	list | jobs) echo --json ;;
	cancel) echo -h --help ;;
	esac
}

# The names that "guestdump list" has under a heading; of formats, those it can write
_guestdump_names() {
	"$1" list 2>/dev/null | awk -v heading="$2" '
		/^[^ ]/ { on = $0 == heading; next }
		on && (heading != "formats" || $2 ~ /w/) && !/not in this build/ { print $1 }'
}

# Files; unless $2 is "file", also qmp: with a socket behind it.  What has "qmp:" in it
# is no file name: readline would put a backslash in front of the colon.
_guestdump_files() {
	local path
	if [[ $1 == qmp:* ]]; then
		while IFS= read -r path; do
			[ ! -d "$path" ] || compopt -o nospace 2>/dev/null
			if [ -S "$path" ] || [ -d "$path" ]; then COMPREPLY+=("qmp:$path"); fi
		done < <(compgen -f -- "${1#qmp:}")
		compopt -o filenames 2>/dev/null
	elif [[ $2 != file && -n $1 && qmp: == "$1"* ]]; then
		mapfile -t COMPREPLY < <(echo qmp: && compgen -f -- "$1")
		compopt -o nospace 2>/dev/null
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$1")
		compopt -o filenames 2>/dev/null
	fi
}

# The values of option $1 that begin with $2
_guestdump_values() {
	local values=
	case $1 in
	-f | --format) values=$(_guestdump_names "$3" formats) ;;
	-C | --compress) values=$(_guestdump_names "$3" codecs) ;;
	-x | --exclude) values='zero cache private user free' ;;
	-d | --dump-level) values='0 1 16 31' ;;
	--progress) values='auto bar plain json none' ;;
	--input-format) values='raw kdump elf lime avml s390 win-dmp' ;;
	-j | --threads | --split | --begin | --length | --timeout | --range) ;;
	-k | --key)
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		compopt -o filenames 2>/dev/null
		return
		;;
	*) return 1 ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$values" -- "$2")
}

_guestdump() {
	local line=${COMP_LINE:0:COMP_POINT} command='' option='' words word prefix
	local commands='dump convert info verify dmesg list jobs cancel'
	COMPREPLY=()
	# words by blanks: bash has cut ours at ":" and "=" too
	read -ra words <<<"$line"
	[[ $line != *[[:blank:]] ]] || words+=('')
	word=${words[-1]}

	if [ ${#words[@]} -le 2 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands help --help --version" -- "$word")
		return
	fi
	command=${words[1]} option=${words[-2]}
	if [ "$command" = help ]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
	elif [[ $word == --*=* ]]; then
		_guestdump_values "${word%%=*}" "${word#*=}" "$1" || true
		COMPREPLY=("${COMPREPLY[@]/#/${word%%=*}=}")
	elif _guestdump_values "$option" "$word" "$1"; then
		:
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_guestdump_options "$command") --help" -- "$word")
	else
		case $command in
		dump | info | dmesg) _guestdump_files "$word" any ;;
		convert | verify) _guestdump_files "$word" file ;;
		esac
	fi

	# what stands in front of the last ":" or "=" is a word of its own to bash
	[[ $COMP_WORDBREAKS == *:* && $word == *:* ]] && prefix=${word%"${word##*:}"}
	[[ $COMP_WORDBREAKS == *=* && $word == --*=* ]] && prefix=${word%%=*}=
	[ -z "${prefix:-}" ] || COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}

complete -F _guestdump guestdump
