#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/watch.sh - 200 guests that panic in the same second, and monitors that talk nonsense
# test: watch-many 300
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
requires python3
tmpdir
cd "$tmp"
mkdir m
/usr/bin/python3 "$root/tests/tools/fake_guests.py" m 200 >fake.log 2>&1 &
fake=$!
kill_fake() { kill $fake 2>/dev/null || true; }
cleanup_fn kill_fake
until grep -q listening fake.log; do sleep 0.1; done

# one that greets with nonsense, and hangs up
python3 - <<'END' &
import socket
s = socket.socket(socket.AF_UNIX)
s.bind("nonsense")
s.listen(9)
while True:
    c, _ = s.accept()
    c.sendall(b'{"QMP": [1, {"event": 5}]}\r\n\0\0{"event": "GUEST_PANICKED", "data": 7}\r\n{{{\r\n')
    c.close()
END
nonsense=$!
kill_nonsense() { kill $nonsense 2>/dev/null || true; }
cleanup_fn kill_nonsense
until [ -S nonsense ]; do sleep 0.1; done

guests=()
for ((i = 0; i < 200; i++)); do guests+=("qmp:m/$i"); done
"$GUESTDUMP" watch --store "$tmp/crash/%n/%H%M%S" --report no --after reset --max-parallel 8 --keep-free 0 --max-use 0 \
	"${guests[@]}" qmp:nonsense 2>watch.log &
watch=$!
kill_watch() { kill $watch 2>/dev/null || true; }
cleanup_fn kill_watch

# eventually SECONDS EXPRESSION
eventually() {
	local i
	for ((i = 0; i < $1 * 10; i++)); do
		! eval "$2" || return 0
		sleep 0.1
	done
	tail -n 20 watch.log >&2
	fail "not so after $1 s: $2"
}

eventually 60 '[ "$(grep -c "watched by" watch.log)" = 200 ]'
grep -q "qmp:nonsense: not watched" watch.log || fail "the nonsense is not reported: $(cat watch.log)"
memory=$(awk '/^RssAnon/ {print $2}' /proc/$watch/status)
[ "$memory" -lt 20000 ] || [ -n "${ASAN_OPTIONS:-}" ] || fail "$memory KiB for 200 guests"
: >m/panic
eventually 200 '[ "$(grep -c "kept in" watch.log)" = 200 ]'
eventually 20 '[ "$(grep -c " cont$" fake.log)" = 200 ]'
[ "$(find crash -name meta.json | wc -l)" = 200 ] || fail "not all are kept: $(find crash -name meta.json | wc -l)"
[ -z "$(find crash -name '*.incomplete')" ] || fail "something half remains"
grep -l "no dump" crash/*/*/meta.json | wc -l | grep -qx 200 || fail "why there is no dump is not in meta.json"
kill -0 $watch || fail "the watcher has ended"
kill $watch
wait $watch || fail "exit status $?"
