#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/pv/preload.sh VMM UV-LIBRARY - a VMM as it is, on a software Ultravisor
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# the emulator's own libraries would be replaced
[ -z "${MESON_EXE_WRAPPER:-}" ] || skip "only for programs of this machine"
vmm=$(realpath "$1") library=$(realpath "$2")
tmpdir
cd "$tmp"
printf '0123456789abcdef0123456789abcdef' >key

# vmm NAME=VALUE...: status in $status, messages in vmm.err
run_vmm() {
	rm -f plain sealed
	status=0
	env "$@" ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" UV_KEY=key LD_PRELOAD="$library" "$vmm" plain sealed 2>vmm.err || status=$?
}

# fails STATUS PATTERN NAME=VALUE...: no dump, but the guest runs
fails() {
	run_vmm "${@:3}"
	[ "$status" = "$1" ] || fail "status $status, not $1: $*: $(cat vmm.err)"
	grep -q -e "$2" vmm.err || fail "$*: $(cat vmm.err)"
	if [ -e sealed ] || [ -e sealed.incomplete ]; then fail "$*: a file is left"; fi
}

run_vmm
[ "$status" = 0 ] || fail "status $status: $(cat vmm.err)"
"$GUESTDUMP" verify -q --key key sealed >/dev/null
"$GUESTDUMP" convert -q --key key -E sealed open
for file in plain open; do
	"$GUESTDUMP" convert -q -f raw --force "$file" "$file.raw" 2>/dev/null
done
cmp plain.raw open.raw || fail "decrypted memory is not what it was"
fails_with 5 "$GUESTDUMP" convert -q -E sealed never 2>/dev/null

run_vmm UV_FAIL=cpu:22:0x102:0x3
[ "$status" = 0 ] || fail "a lost CPU: status $status"
grep -q 'CPU 0 are not in the dump' vmm.err || fail "a lost CPU: $(cat vmm.err)"

fails 11 'owner does not allow dumps' UV_DENY=1
fails 9 'rc 0x0104, rrc 0x0007' UV_FAIL=state:22:0x104:0x7
fails 2 'CONFIG_STOR_STATE' UV_FAIL='state:12 complete:12:0:0:3'
fails 9 'data is lost' UV_FAIL=late-complete:14
fails 6 'KVM_CAP_S390_PROTECTED_DUMP' UV_FAIL=cap:1
# what cannot be helped: the guest is not let run, and that is told
run_vmm UV_FAIL=complete:22:0x105:0x1:-1
[ "$status" = 100 ] || fail "a blocked guest: status $status"
grep -q 'cannot run until it is' vmm.err || fail "a blocked guest: $(cat vmm.err)"
