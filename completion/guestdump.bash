# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# shellcheck shell=bash
#
# Completion of guestdump(1) for bash. The program itself knows what can stand where:
# "guestdump complete WORD..." prints it, as described in tool/complete.h.

_guestdump() {
	local line=${COMP_LINE:0:COMP_POINT} words word candidate prefix=
	COMPREPLY=()
	# words by blanks: bash has cut ours at ":" and "=" too
	read -ra words <<<"$line"
	[[ $line != *[[:blank:]] ]] || words+=('')
	word=${words[-1]}

	while IFS=$'\t' read -r candidate _; do
		if [ "$candidate" = :files ]; then
			mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "${word#--*=}")
			compopt -o filenames 2>/dev/null
		else
			[[ $candidate != *[/:=,] ]] || compopt -o nospace 2>/dev/null
			COMPREPLY+=("$candidate")
		fi
	done < <("$1" complete "${words[@]:1}" 2>/dev/null)

	# what stands in front of the last ":" or "=" is a word of its own to bash
	[[ $COMP_WORDBREAKS == *:* && $word == *:* ]] && prefix=${word%"${word##*:}"}
	[[ $COMP_WORDBREAKS == *=* && $word == --*=* ]] && prefix=${word%%=*}=
	[ -z "$prefix" ] || COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}

complete -F _guestdump guestdump
