#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/peer/kdumpfile.sh - libkdumpfile knows the machine and the kernel of our dumps, and
# finds the guest's memory in them
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/guest.bash"

/usr/bin/python3 -c 'import kdumpfile' 2>/dev/null || skip "needs python3-libkdumpfile"
dump_a_guest --mem 512M

for dump in "${dumps[@]}"; do
	/usr/bin/python3 "$root/tests/peer/read_kdumpfile.py" facts.json "$dump" || fail "$dump: see above"
done
