#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/guests.sh - a real guest is listed with all that is known of it, and opened by its name
# test: guest-guests 300
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires python3
start_guest vm --mem 256M -- -name "guest=gd-$$,debug-threads=on" -uuid 6a0ef53c-1111-4222-8333-44445555$((1000 + $$ % 9000))
name=gd-$$

# the member @1 of the guest, as Python writes it; its ways are w
guest() {
	guestdump_json guests --json | python3 -c '
import json, sys
all = json.load(sys.stdin)
assert all["schema"] == 1 and all["type"] == "guests"
g, = [g for g in all["guests"] if g["name"] == sys.argv[1]]
w = {w["name"]: w for w in g["ways"]}
print(eval(sys.argv[2]))' "$name" "$1"
}

# is WANT EXPRESSION
is() {
	local got
	got=$(guest "$2")
	[ "$got" = "$1" ] || fail "$2 is $got, not $1"
}

is "$guest_pid" 'g["pid"]'
is "qemu running 268435456 2" '"{kind} {state} {memory} {num_cpus}".format(**g)'
is True "w['$guest_source']['works'] and w['$guest_source']['direct']"
"$GUESTDUMP" guests >"$tmp/table"
grep -A1 "^$name .* $guest_pid  qemu .*256.0 MiB     2  running" "$tmp/table" | grep -q "qmp:$guest_dir" ||
	fail "the table: $(cat "$tmp/table")"
[ "$("$GUESTDUMP" complete dump "$name")" = "$name"$'\ta running guest' ] || fail "the name is not completed"

# a monitor in use is not waited for, and the guest is opened by the other one
python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.recv(1000)
print("connected", flush=True); time.sleep(120)' "$guest_qmp" >"$tmp/holder" &
holder=$!
kill_holder() { kill "$holder" 2>/dev/null; }
cleanup_fn kill_holder
until grep -q connected "$tmp/holder"; do sleep 0.1; done
is "False (process $holder) is connected to this monitor, which serves one client at a time" \
	"str(w['$guest_source']['works']) + ' ' + w['$guest_source']['missing'].split(' ', 1)[1]"
is "qmp:$guest_dir/monitor" 'g["ways"][0]["name"]'
"$GUESTDUMP" dump -q "$name" "$tmp/name.kdump" || fail "not opened by its name"
"$GUESTDUMP" info "$guest_pid" >"$tmp/info" || fail "not opened by its process"
grep -q 'kernel *Linux' "$tmp/info" || fail "info: $(cat "$tmp/info")"
kill "$holder"

# a serial console is no monitor, which shows after some seconds; nothing is typed there
before=$(stat -c %s "$guest_dir/console.log")
fails_with 1 timeout 25 "$GUESTDUMP" info "qmp:$guest_dir/console.sock" 2>"$tmp/err"
tail -n 1 "$tmp/err" | grep -q "this is no QMP monitor: it accepted the connection and sent no greeting within 5 s" ||
	fail "a console: $(cat "$tmp/err")"
[ "$(stat -c %s "$guest_dir/console.log")" = "$before" ] || fail "typed on the console: $(tail "$guest_dir/console.log")"

# paused, and stopped
"$guest" qmp "$guest_dir" stop >/dev/null
is paused 'g["state"]'
"$guest" qmp "$guest_dir" cont >/dev/null
is running 'g["state"]'

# where a guest or a file may be meant, a file of this name is the file; dump takes a guest
: >"$tmp/$name"
(cd "$tmp" && fails_with 1 "$GUESTDUMP" info "$name" 2>err)
grep -q "$name: the file is empty" "$tmp/err" || fail "$(cat "$tmp/err")"
(cd "$tmp" && "$GUESTDUMP" dump -q "$name" out) || fail "the guest is hidden by a file of its name"
fails_with 2 "$GUESTDUMP" dump "$tmp/$name" "$tmp/out2" 2>"$tmp/err"
grep -q "$name is not a running guest" "$tmp/err" || fail "$(cat "$tmp/err")"

# one of two guests is refused
start_guest vm2 --mem 128M --wait 0 -- -name "$name"
fails_with 2 "$GUESTDUMP" info "$name" 2>"$tmp/err"
grep -q "2 guests have this name" "$tmp/err" || fail "$(cat "$tmp/err")"
