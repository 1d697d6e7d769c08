# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For tests with other programs that read dumps: ". guest.bash", behind tests/lib.sh.
#
#   dump_a_guest [OPTION...]
#                   boots a guest (options: scripts/guest), stops it, dumps it, and goes to
#                   the folder with
#                     vm.elf vm.kdump   what it has in memory, by us
#                     log               what its dmesg said
#                     memory            256 MiB from physical address 0 on, by QEMU
#   dumps           the names of the dumps
#   release         of the guest's kernel, as uname -r says
#   uts_address     of the kernel's init_uts_ns, as /proc/kallsyms says

# Meson sets it: drgn 0.0.22 dies of it when it closes a kdump, also of makedumpfile's
unset MALLOC_PERTURB_

# shellcheck disable=SC2034 # for the tests
dumps=(vm.elf vm.kdump)

# shellcheck disable=SC2154 # of tests/lib.sh
dump_a_guest() {
	start_guest vm "$@"
	cd "$tmp" || exit
	release=$(guest_console uname -r)
	uts_address=$(guest_console grep "' init_uts_ns$'" /proc/kallsyms | cut -d' ' -f1)
	guest_console dmesg >log
	if [ -z "$release" ] || [ -z "$uts_address" ] || [ ! -s log ]; then
		fail "the guest does not say what is needed"
	fi
	"$guest" qmp "$guest_dir" stop >stop.out
	"$GUESTDUMP" dump -q -E "$guest_source" vm.elf
	"$GUESTDUMP" dump -q "$guest_source" vm.kdump
	"$guest" hmp "$guest_dir" "pmemsave 0 0x10000000 \"$tmp/memory\"" >pmemsave.out
	[ "$(stat -c %s memory)" = $((256 << 20)) ] || fail "pmemsave: $(cat pmemsave.out)"
}

# same_log FILE: it has what dmesg said in the guest
same_log() {
	# levels, blanks at the end, and the time before all lines of a long message but the
	# first are another matter
	local clean='s/^<[0-9]*>//; s/^\[ *[0-9.]*\] *//; s/^ *//; s/ *$//'
	sed "$clean" log >log.plain
	sed "$clean" "$1" | head -n "$(wc -l <log.plain)" >"$1.plain"
	cmp log.plain "$1.plain" || fail "$1 is not the guest's log"
}
