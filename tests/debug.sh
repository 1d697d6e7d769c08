#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/debug.sh - -v reports on standard error what is done, and changes nothing else
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
tmpdir
cd "$tmp"

head -c 1M /dev/urandom >raw
"$GUESTDUMP" convert -q --input-format raw --range 4M:1M@0 raw plain
"$GUESTDUMP" convert -q plain silent 2>err
[ ! -s err ] || fail "there are messages without -v: $(cat err)"

# reports TEXT: and it is all whole lines of the form that the manual gives
reports() {
	grep -qE "^guestdump: debug: [0-9]+\.[0-9] ms: .*$1" err || fail "'$1' is missing: $(cat err)"
	! grep -vE '^guestdump: debug: [0-9]+\.[0-9] ms: [^ ]' err || fail "other lines"
}

"$GUESTDUMP" convert -qv plain told 2>err
cmp silent told
reports 'has the format kdump'
reports 'opened as kdump'
reports 'no VMCOREINFO was found by a search'
reports 'the input has 256 of 256 pages'
reports '256 of 256 pages are written to told: format kdump, codec zlib'
reports 'the pipeline took [0-9.]+ ms for 256 pages'
! grep -q 'range 0' err || fail "-v has what is for -vv: $(cat err)"

"$GUESTDUMP" convert -qvv plain again 2>err
reports 'range 0 is 0x400000 to 0x4fffff, RAM'

for command in info verify; do
	"$GUESTDUMP" "$command" --verbose plain >out 2>err
	reports 'has the format kdump'
	! grep -q debug: out || fail "$command: debug messages on standard output"
done
fails_with 1 "$GUESTDUMP" dmesg -v plain >out 2>err
grep -q 'has the format kdump' err || fail "dmesg: $(cat err)"
