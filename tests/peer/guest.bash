# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# For tests with other programs that read dumps: ". guest.bash", behind tests/lib.sh.
#
#   dump_a_guest [OPTION...]
#                   boots a guest of this machine (options: scripts/guest), stops it, dumps
#                   it, and goes to the folder with what learn_facts leaves and
#                     vm.elf vm.kdump   what it has in memory, by us
#   dumps           the names of the dumps
#   release         of the guest's kernel, as uname -r says
#   learn_facts MACHINE BASE
#                   stops the guest, whose RAM begins at BASE; leaves here
#                     log               what its dmesg said
#                     memory            256 MiB from BASE on, by QEMU
#                     facts.json        what readers must find: see facts.py
#   same_log FILE   FILE has what dmesg said

# Meson sets it: drgn 0.0.22 dies of it when it closes a kdump, also of makedumpfile's
unset MALLOC_PERTURB_

# shellcheck disable=SC2034 # for the tests
dumps=(vm.elf vm.kdump)

# shellcheck disable=SC2034,SC2154 # of and for tests
learn_facts() {
	local note rest
	guest_console uname -r >release
	guest_console dmesg >log
	# address and size
	read -r note rest < <(guest_console cat /sys/kernel/vmcoreinfo)
	if [ ! -s release ] || [ ! -s log ] || [ -z "$rest" ]; then
		fail "the guest does not say what is needed"
	fi
	"$guest" qmp "$guest_dir" stop >stop.out
	"$guest" hmp "$guest_dir" info registers -a >registers.txt
	"$guest" hmp "$guest_dir" "pmemsave $note 0x2000 \"$tmp/note\"" >pmemsave.out
	"$guest" hmp "$guest_dir" "pmemsave $2 0x10000000 \"$tmp/memory\"" >>pmemsave.out
	[ "$(stat -c %s memory)" = $((256 << 20)) ] || fail "pmemsave: $(cat pmemsave.out)"
	/usr/bin/python3 "$root/tests/peer/facts.py" "$1" "$2" >facts.json
}

# shellcheck disable=SC2034,SC2154
dump_a_guest() {
	start_guest vm "$@"
	cd "$tmp" || exit
	learn_facts x86_64 0
	release=$(cat release)
	"$GUESTDUMP" dump -q -E "$guest_source" vm.elf
	"$GUESTDUMP" dump -q "$guest_source" vm.kdump
}

# same_log FILE: it has what dmesg said in the guest
same_log() {
	# levels, tasks, blanks at the end, and the time before all lines of a long message but
	# the first are another matter
	local clean='s/^<[0-9]*>//; s/^\[ *[0-9.]*\] *//; s/^\[ *[CT][0-9]*\] *//; s/^ *//; s/ *$//'
	sed "$clean" log >log.plain
	sed "$clean" "$1" | head -n "$(wc -l <log.plain)" >"$1.plain"
	cmp log.plain "$1.plain" || fail "$1 is not the guest's log"
}
