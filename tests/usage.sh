#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Options that make no sense with a command are refused, and nothing is written
set -euo pipefail
. "$(dirname "$0")/lib.sh"
tmpdir

for option in --detach --allow-encrypted --live --live=try --buffer=1M --no-direct --timeout=3; do
	fails_with 2 "$GUESTDUMP" convert "$option" "$tmp/in" "$tmp/out" 2>"$tmp/err"
	grep -q -- "${option%=*} is for running guests: guestdump dump" "$tmp/err" ||
		fail "convert $option: $(cat "$tmp/err")"
	[ ! -e "$tmp/out" ] || fail "convert $option: there is a file"
done

# Nothing of a message is a command to the terminal
fails_with 1 "$GUESTDUMP" info "$tmp/"$'bell\a\e[2J' 2>"$tmp/err"
grep -qF 'bell\x07\x1b[2J' "$tmp/err" || fail "a control character in a message: $(cat -v "$tmp/err")"
