#compdef guestdump
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# Completion of guestdump(1) for zsh. The program itself knows what can stand where:
# "guestdump complete WORD..." prints it, as described in tool/complete.h.

_guestdump() {
	local line candidate
	local -a before candidates shown suffix
	local -i files=0

	before=("${(@Q)words[2,CURRENT-1]}")
	for line in "${(@f)$("${(Q)words[1]}" complete "${(@)before}" "${(Q)PREFIX}" 2>/dev/null)}"; do
		candidate=${line%%$'\t'*}
		if [[ $candidate = :files ]]; then
			files=1
		elif [[ $candidate = *[/:=,] ]]; then
			compadd -S '' -- "$candidate"
		elif [[ -n $candidate ]]; then
			candidates+=("$candidate")
			shown+=("${line/$'\t'/  -- }")
		fi
	done
	(( ! $#candidates )) || compadd -l -d shown -- "${(@)candidates}"
	(( ! files )) || { compset -P '--*='; _files }
}

_guestdump "$@"
