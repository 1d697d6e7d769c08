#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/watch.sh - guests that panic while they are watched: what is kept, and what becomes of them
# test: guest-watch 600
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires python3
tmpdir
mkdir "$tmp/tree"
mapfile -t modules < <("$guest" modules x86_64 pvpanic-mmio)
[ ${#modules[@]} -gt 0 ] || skip "the guest's kernel has no pvpanic"
cp "${modules[@]}" "$tmp/tree"
start_guest device --mem 256M --add "$tmp/tree" -- -name device-$$ -device pvpanic -action panic=pause,reboot=reset
device=$guest_dir
for module in "${modules[@]}"; do guest_console "insmod /${module##*/}" >/dev/null; done
start_guest log --mem 192M --append panic=0 -- -name log-$$ -action reboot=reset
log=$guest_dir
mkdir "$tmp/notify"
cd "$tmp"

cat >watch.conf <<END
[Watch]
Store=$tmp/crash/%n/%Y-%m-%dT%H:%M:%S
Level=31
KeepFree=0
MaxUse=0
Post=$tmp/hook
[Guest log-*]
WhenLog=Kernel panic
LogInterval=1s
After=reset
END
cat >hook <<'END'
#!/bin/sh
echo "$GUESTDUMP_GUEST $GUESTDUMP_REASON $1 $(test -s "$GUESTDUMP_DUMP" && echo dump)" >>"$(dirname "$0")/hooks"
END
chmod +x hook

# what a service manager hears
python3 - <<'END' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify/sock")
with open("notify/heard", "w") as f:
    while True:
        print(s.recv(1000).decode(), file=f, flush=True)
END
manager=$!
kill_manager() { kill $manager 2>/dev/null || true; }
cleanup_fn kill_manager
until [ -S notify/sock ]; do sleep 0.1; done

start_watch() {
	NOTIFY_SOCKET=$tmp/notify/sock WATCHDOG_USEC=2000000 "$GUESTDUMP" watch --config watch.conf "$@" 2>>watch.log &
	watch=$!
}
kill_watch() { kill $watch 2>/dev/null || true; }
cleanup_fn kill_watch

# eventually SECONDS COMMAND...
eventually() {
	local i seconds=$1
	shift
	for ((i = 0; i < seconds * 10; i++)); do
		! "$@" || return 0
		sleep 0.1
	done
	cat watch.log >&2
	fail "not so after $seconds s: $*"
}
says() { grep -q -- "$1" watch.log; }

# kept GUEST: its crashes that are whole
kept() { { find "crash/$1" -name meta.json 2>/dev/null || true; } | sed -E '/\.(incomplete|partial|removing)\//d' | sort; }
has_kept() { [ "$(kept "$1" | wc -l)" = "$2" ]; }

# panic DIR: it does not answer any more
panic() { (GUEST_TIMEOUT=3 "$guest" console "$1" 'echo c >/proc/sysrq-trigger' >/dev/null 2>&1 || true) & }

start_watch device-$$ log-$$
eventually 20 says "device-$$: watched by qmp:"
eventually 20 says "log-$$: watched by qmp:"
if [ -e /usr/lib/x86_64-linux-gnu/libsystemd.so.0 ]; then
	eventually 10 grep -q READY=1 notify/heard
	eventually 10 grep -q WATCHDOG=1 notify/heard
fi
sleep 2         # the log has been read
panic "$device"
panic "$log"
eventually 60 has_kept device-$$ 1
eventually 60 has_kept log-$$ 1

for name in device log; do
	dir=$(dirname "$(kept $name-$$)")
	"$GUESTDUMP" verify -q "$dir/vmcore" >/dev/null || fail "$name: the dump is not good"
	"$GUESTDUMP" dmesg "$dir/vmcore" >log.out
	grep -q "sysrq triggered crash" log.out || fail "$name: not in the dump's log"
	grep -q "sysrq triggered crash" "$dir/dmesg.txt" || fail "$name: not in the log"
	grep -q "panicked" "$dir/report.txt" || fail "$name: not in the report: $(cat "$dir/report.txt")"
	valid_json "$dir/report.json"
	eventually 10 grep -q "^$name-$$ .* $tmp/$dir dump" hooks
done
grep -q "^device-$$ panic" hooks || fail "$(cat hooks)"
grep -q "^log-$$ log" hooks || fail "$(cat hooks)"

# one was left as it was, the other one was reset and boots
guest_state() { "$guest" qmp "$1" query-status 2>/dev/null | grep -q "\"$2\""; }
eventually 10 says "log-$$: reset"
eventually 60 says "log-$$: kept in"

# a watcher that starts again does not dump it once more
kill -9 $watch
wait $watch 2>/dev/null || true
guest_state "$device" guest-panicked || fail "the guest that was to be left is not as it was"
: >watch.log
start_watch device-$$
eventually 20 says "device-$$: that crash has been kept before"
has_kept device-$$ 1 || fail "it was dumped twice"

# all, when asked for; it ends when that is kept
kill -USR1 $watch
eventually 60 has_kept device-$$ 2
kill $watch
wait $watch || fail "exit status $?"
grep -q "signal" "$(kept device-$$ | tail -n 1)" || fail "$(cat "$(kept device-$$ | tail -n 1)")"

# killed with all that belongs to it, while it dumps: the guest runs, and order is made at the next start
wait_console() { guest_console true >/dev/null 2>&1; }
guest_dir=$log
eventually 120 wait_console
rm -rf crash/log-$$
: >watch.log
setsid "$GUESTDUMP" watch --config watch.conf --after leave --compress zlib:12 --dump-level 0 "log-$$" 2>>watch.log &
watch=$!
eventually 20 says "log-$$: watched by qmp:"
kill -USR1 $watch
find_dump() { [ -n "$(find crash/log-$$ -name 'vmcore.incomplete' 2>/dev/null)" ]; }
eventually 60 find_dump
for pid in $watch $(ps -o pid= --ppid $watch); do
	for child in $(ps -o pid= --ppid "$pid"); do kill -9 "$child" 2>/dev/null || true; done
	kill -9 "$pid" 2>/dev/null || true
done
wait $watch 2>/dev/null || true
eventually 20 guest_state "$log" running
: >watch.log
start_watch "qmp:$log/qmp"
eventually 20 says "was not finished"
[ -z "$(find crash -name '*.incomplete')" ] || fail "something half remains: $(find crash)"
kill $watch
wait $watch || fail "exit status $?"

# what repeats is not kept again and again
: >watch.log
start_watch --when-log 'storm [0-9]' --throttle '1 in 1h' --after leave --report no "log-$$"
eventually 20 says "log-$$: watched by qmp:"
sleep 3
before=$(kept log-$$ | wc -l)
for n in 1 2 3; do
	guest_console "echo storm $n >/dev/kmsg" >/dev/null
	eventually 30 says "log-$$: log: .*storm $n"
	sleep 3
done
eventually 20 says "log-$$: not kept"
[ "$(kept log-$$ | wc -l)" -le $((before + 1)) ] || fail "a storm is kept: $(kept log-$$)"
kill $watch
wait $watch || fail "exit status $?"

# mistakes
printf '[Watch]\nLevel=99\nLevle=1\n' >bad.conf
fails_with 2 "$GUESTDUMP" watch --config bad.conf --check 2>err
grep -q "bad.conf:2: Level=99" err || fail "$(cat err)"
grep -q "bad.conf:3:.*Level" err || fail "$(cat err)"
"$GUESTDUMP" watch --config watch.conf --check >checked
grep -q "^After=reset" checked || fail "$(cat checked)"
