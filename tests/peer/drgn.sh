#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/peer/drgn.sh - drgn opens our dumps and finds the kernel in them, without vmlinux
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/guest.bash"

/usr/bin/python3 -c 'import drgn' 2>/dev/null || skip "needs python3-drgn"
dump_a_guest --mem 512M

for dump in "${dumps[@]}"; do
	/usr/bin/python3 "$root/tests/peer/read_drgn.py" facts.json "$dump" || fail "$dump: see above"
done
