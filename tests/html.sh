#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/html.sh - report --html: a page of its own in a new file, whatever the input is called
# test: html 60
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3
tmpdir
cd "$tmp"
valid_html() { python3 "$root/tests/tools/valid_html.py" "$1" >"$1.txt" || fail "$1 is not valid"; }

name=$'<script>alert("&amp;\x01\xff\x27")'
head -c 1M /dev/urandom >raw
"$GUESTDUMP" convert -q --input-format raw --range 0:1M raw "$name"

"$GUESTDUMP" report --html page "$name" || fail "no page"
valid_html page
[ "$(stat -c %a page)" = 600 ] || fail "others can read it"
# shellcheck disable=SC1003 # a backslash
grep -qF 'Report of <script>alert("&amp;\x01\xff'\''")' page.txt || fail "the title: $(cat page.txt)"
grep -q 'there is no Linux kernel' page.txt || fail "no verdict: $(cat page.txt)"

"$GUESTDUMP" report --html - -s verdict "$name" >shown
valid_html shown
! grep -q x86_64 shown.txt || fail "all sections: $(cat shown.txt)"

fails_with 1 "$GUESTDUMP" report --html page "$name" 2>err
grep -q 'page: cannot create: File exists$' err || fail "$(cat err)"
both=(--html new --json)
fails_with 2 "$GUESTDUMP" report "${both[@]}" "$name" >out 2>err
grep -q 'html and --json exclude each other' err out || fail "$(cat err out)"
fails_with 1 "$GUESTDUMP" report --html new missing 2>err
[ ! -e new ] || fail "an empty page"
if [ -w /dev/full ]; then
	fails_with 1 "$GUESTDUMP" report --html - "$name" >/dev/full 2>err
fi
