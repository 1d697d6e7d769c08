#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/peer/gdb.sh - gdb sees each CPU as a thread, with the registers that QEMU tells
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/guest.bash"

requires gdb /usr/bin/python3
dump_a_guest --mem 512M

# RIP and RSP of each CPU in turn, as hexadecimal numbers
"$guest" hmp "$guest_dir" info registers -a | tr ' ' '\n' |
	sed -n 's/^R[IS]P=0*\([0-9a-f]*\)$/\1/p' | sort >by-qemu
# shellcheck disable=SC2016 # of gdb's
gdb -nx -batch -ex 'set architecture i386:x86-64' -ex 'core-file vm.elf' -ex 'info threads' \
	-ex 'thread apply all -q printf "register %lx\nregister %lx\n", $rip, $rsp' \
	>gdb.out 2>&1 || fail "gdb: $(cat gdb.out)"
cat gdb.out
[ "$(grep -c '^[* ] [0-9].*\(LWP\|process\|Thread\)' gdb.out)" = 2 ] || fail "gdb does not see 2 threads"
sed -n 's/^register //p' gdb.out | sort >by-gdb
[ "$(wc -l <by-qemu)" = 4 ] || fail "QEMU tells other registers: $(cat by-qemu)"
cmp by-qemu by-gdb || fail "registers: $(paste by-qemu by-gdb)"
