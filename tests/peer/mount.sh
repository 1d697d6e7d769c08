#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/peer/mount.sh - drgn, gdb and makedumpfile open the mounted vmcore of dumps in several
# formats, and drgn a running guest
# test: mount-readers 900

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "${BASH_SOURCE[0]}")/guest.bash"
requires python3 fusermount3 makedumpfile gdb
[ -w /dev/fuse ] || skip "needs /dev/fuse"
/usr/bin/python3 -c 'import drgn' 2>/dev/null || skip "needs python3-drgn"

start_guest vm
cd "$tmp"
mkdir m
"$GUESTDUMP" mount "$guest_source" m 2>err || {
	grep -q 'without libfuse3' err && skip "this build is without libfuse3"
	grep -q 'fuse: mount failed' err && skip "this system does not let us mount: $(cat err)"
	fail "mount: $(cat err)"
}
unmount() { fusermount3 -u -z -q -- "$tmp/m" 2>/dev/null || true; }
cleanup_fn unmount
umounted() {
	local _
	"$GUESTDUMP" umount m || fail "umount"
	for _ in $(seq 600); do
		grep -q " $tmp/m " /proc/mounts || return 0
		sleep 0.1
	done
	fail "it remains mounted"
}
# a monitor serves one client at a time: wait until that of the mount has ended
is_free() {
	local _
	for _ in $(seq 600); do
		! "$GUESTDUMP" info "$guest_source" >out 2>&1 || return 0
		sleep 0.1
	done
	fail "the monitor remains in use: $(cat out)"
}

# banner CORE: what drgn finds in it, by nothing but its memory and notes
banner() {
	/usr/bin/python3 - "$1" <<-'PYTHON' || fail "drgn $1: see above"
		import re, sys
		import drgn
		prog = drgn.Program()
		prog.set_core_dump(sys.argv[1])
		info = prog["VMCOREINFO"].string_().decode() if "VMCOREINFO" in prog else ""
		release = re.search("^OSRELEASE=(.*)", open("m/vmcoreinfo").read(), re.M)[1]
		address = int(re.search(r"^SYMBOL\(init_uts_ns\)=(.*)", open("m/vmcoreinfo").read(), re.M)[1], 16)
		if release.encode() not in prog.read(address, 400):
		    sys.exit("init_uts_ns does not have the release")
		print(release)
	PYTHON
}

# --- the guest runs, and keeps running ---------------------------------------

[ -e m/vmcore.live ] && [ ! -e m/vmcore ] || fail "a running guest: $(ls m)"
release=$(guest_console uname -r)
[ "$(banner m/vmcore.live)" = "$release" ] || fail "drgn reads another kernel"
[ "$(guest_status)" = running ] || fail "the guest is $(guest_status)"
grep -q 'Linux version' m/dmesg.txt || fail "the log of the guest: $(head m/dmesg.txt)"
guest_console 'echo a new line >/dev/kmsg' >out
for _ in $(seq 300); do
	! grep -q 'a new line' m/dmesg.txt || break
	sleep 0.2
done
grep -q 'a new line' m/dmesg.txt || fail "the log is not that of now"
valid_json m/tasks.json m/info.json
grep -q '"name":"init"' m/tasks.json || fail "there is no init: $(cat m/tasks.json)"
umounted
is_free

# --- dumps ---------------------------------------------------------------------

"$GUESTDUMP" dump -q "$guest_source" vm.kdump
"$GUESTDUMP" convert -q -f lime vm.kdump vm.lime
"$GUESTDUMP" convert -q -d 31 vm.kdump vm31.kdump
for dump in vm.kdump vm.lime vm31.kdump; do
	"$GUESTDUMP" mount "$dump" m
	[ "$(banner m/vmcore)" = "$release" ] || fail "$dump: drgn reads another kernel"
	rm -f log
	makedumpfile --dump-dmesg m/vmcore log >out 2>&1 || fail "$dump: makedumpfile: $(cat out)"
	grep -q 'Linux version' log || fail "$dump: makedumpfile prints $(head log)"
	gdb -batch -nx -ex 'info threads' -core m/vmcore </dev/null >out 2>&1 || fail "$dump: gdb: $(cat out)"
	grep -q 'Id .*Target Id' out || fail "$dump: gdb: $(cat out)"
	umounted
done

# --- the guest ends --------------------------------------------------------------

"$GUESTDUMP" mount --foreground "$guest_source" m 2>err &
keeper=$!
for _ in $(seq 600); do
	[ ! -e m/vmcore.live ] || break
	sleep 0.1
done
"$guest" qmp "$guest_dir" quit >out 2>&1 || true
fails_with 1 wait $keeper
grep -q 'the guest has ended' err || fail "the guest has ended: $(cat err)"
! grep -q " $tmp/m " /proc/mounts || fail "it remains mounted when the guest has ended"
