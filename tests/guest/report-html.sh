#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/report-html.sh - the page of a guest whose processes, mounts and log are named to
# break it; a browser runs nothing of the guest
#
# test: report-html 300
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires python3
tmpdir
cd "$tmp"

start_guest vm --mem 256M
# shellcheck disable=SC2016 # for the guest's shell
guest_console 'bad="<script>document.title=1</script>"
	cp /bin/busybox "/tmp/<img src=x>"; mkdir "/tmp/<x>"; mount -t tmpfs "$bad" "/tmp/<x>"
	(exec -a sleep "/tmp/<img src=x>" 3600) </dev/null >/dev/null 2>&1 &
	printf "<3>$bad \\377 &lt;\n" >/dev/kmsg; echo "<4>a warning" >/dev/kmsg; sleep 1; cat /proc/$!/comm' >setup.out
grep -qF '<img src=x>' setup.out || fail "the guest has no such process: $(cat setup.out)"

"$GUESTDUMP" report --all --html page.html "$guest_source" || fail "report fails"
python3 "$root/tests/tools/valid_html.py" page.html >page.txt || fail "it is not valid"
for text in '<img src=x>' '<script>document.title=1</script>' '/tmp/<x>' 'nothing unusual found' 'a warning' \
	'do_syscall_64+0x' 'Physical memory' 'Network interfaces'; do
	grep -qiF "$text" page.txt || [ "$text" = ] || fail "no $text: $(cat page.txt)"
done
grep -q 'class="i l3">' page.html || fail "no color of an error"
[ "$(grep -c '<details' page.html)" -gt 30 ] || fail "no folds"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
	skip "a browser's part: needs chromium"
timeout 100 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$tmp/browser" --dump-dom \
	"file://$tmp/page.html" >dom.html 2>browser.err || skip "the browser does not start: $(tail -n 3 browser.err)"
grep -q '<title>Report of qmp:' dom.html || fail "the title has changed: $(grep '<title>' dom.html)"
! grep -q '<img' dom.html || fail "there is an image"
