# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# A dump in the background, for tests with a guest: ". child.sh" after lib.sh.
#
#   $child                   its process, set by who starts it, with standard error in dump.err;
#                            killed when the test ends
#   wait_for SECONDS COMMAND...
#                            until COMMAND succeeds; 1 if it does not in that time
#   is_status STATUS         whether QEMU says that of the guest
#   end_dump STATUS WHAT     wait for $child, and fail unless it ends with STATUS

# shellcheck disable=SC2317 # called at the end
end_child() { [ -z "${child:-}" ] || kill -9 "$child" 2>/dev/null; }
cleanup_fn end_child

wait_for() {
	local end=$((SECONDS + $1 + 1))
	while ! "${@:2}"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

is_status() { [ "$(guest_status)" = "$1" ]; }

end_dump() {
	local status=0
	{ wait "$child"; } 2>/dev/null || status=$?
	child=
	[ "$status" = "$1" ] || fail "$2: exit status $status instead of $1: $(cat dump.err)"
}
