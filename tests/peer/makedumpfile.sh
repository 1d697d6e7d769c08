#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/peer/makedumpfile.sh - makedumpfile takes the kernel's log out of our dumps, and
# filters them
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/guest.bash"

requires makedumpfile
dump_a_guest --mem 512M

# make OUTPUT OPTION...
make() {
	makedumpfile "${@:2}" "$1" >"$1.out" 2>&1 ||
		fail "makedumpfile ${*:2} $1: $(tail -n 5 "$1.out" | tr '\r' '\n')"
}

for dump in "${dumps[@]}"; do
	make "$dump.log" --dump-dmesg "$dump"
	same_log "$dump.log"
	for options in "-l -d 31" "-c -d 31" "-c -d 0"; do
		# shellcheck disable=SC2086 # words
		make filtered $options "$dump"
		make filtered.log --dump-dmesg filtered
		same_log filtered.log
		"$GUESTDUMP" verify -q filtered >verify.out ||
			fail "makedumpfile $options $dump: $(cat verify.out)"
		echo "$dump, makedumpfile $options: $(stat -c %s filtered) bytes; $(cat verify.out)"
		rm -f filtered filtered.log
	done
done
# what is left out is the same, whatever the input was
for dump in "${dumps[@]}"; do
	make "filtered.$dump" -c -d 31 "$dump"
	guestdump_json info --json "filtered.$dump" |
		/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["omitted"])' >"excluded.$dump"
	echo "$dump: $(cat "excluded.$dump") pages are left out at level 31"
done
