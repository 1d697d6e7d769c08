#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/snapshots.sh [PART...] - snapshots of other hypervisors, which lay_out.py makes of the
# memory and the registers of a real guest, are read as this guest
# test: snapshots 1800
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ -x /usr/bin/python3 ] || skip "needs python3"
start_guest vm --mem 256M
cd "$tmp"
"$guest" qmp "$guest_dir" stop >/dev/null
"$GUESTDUMP" dump -q -f elf "$guest_source" core
"$guest" stop "$guest_dir"

lay_out() { /usr/bin/python3 "$root/tests/guest/lay_out.py" "$@" || fail "lay_out.py $*"; }

# make KIND: as the directory "snapshot"
make() { rm -rf snapshot && mkdir snapshot && lay_out "$1" core snapshot; }

lacks=()        # members of registers that the format has no room for

# is_guest WORD...: the input is the guest, with its registers
is_guest() {
	rm -f again
	"$GUESTDUMP" convert -q -f elf "$@" again 2>err || fail "$*: $(cat err)"
	lay_out same core again "${lacks[@]}"
	rm again
	"$GUESTDUMP" info "$@" >info 2>err || fail "$*: $(cat err)"
	grep -q '^kernel  *Linux' info || fail "no kernel in $*: $(cat info)"
	grep -q 'CPU 0  *runs ' info || fail "CPU 0 of $* runs no task: $(cat info)"
}

# says STATUS TEXT WORD...: guestdump info prints this
says() {
	local status=0
	"$GUESTDUMP" info "${@:3}" >out 2>&1 || status=$?
	[ $status = "$1" ] || fail "exit status $status: info ${*:3}: $(cat out)"
	grep -qe "$2" out || fail "not \"$2\": info ${*:3}: $(cat out)"
}

part_firecracker() {
	local encoding
	make firecracker
	for encoding in versionize bincode bitcode; do
		is_guest "snapshot/state.$encoding" snapshot/memory
		grep -q "proven by the guest's page tables" info || fail "$(cat info)"
		"$GUESTDUMP" dmesg "snapshot/state.$encoding" snapshot/memory >log
		grep -q 'Linux version' log || fail "no log"
	done
	says 1 'whose memory is in another file' snapshot/state.bincode
	# without the state, but proven
	"$GUESTDUMP" convert -q -f elf --input-format firecracker snapshot/memory again
	lay_out same core again registers
	rm again
	# the page tables know that there is more
	truncate -s -64M snapshot/memory
	says 0 'the memory file ends early' snapshot/state.bincode snapshot/memory
	says 0 "page tables do not agree" snapshot/state.bitcode snapshot/memory
	# other registers are not believed
	make firecracker
	lay_out firecracker-wrong-cr3 core snapshot
	says 0 'the registers of the CPUs are missing: ' snapshot/state snapshot/memory
}

part_firecracker_diff() {
	make firecracker-diff
	is_guest snapshot/state snapshot/changes snapshot/base
	says 0 'the memory file has holes' snapshot/state snapshot/changes
	cp --sparse=never snapshot/changes snapshot/full
	says 0 'the file with the changes has no holes' snapshot/state snapshot/full snapshot/base
}

part_cloud_hypervisor() {
	local version
	for version in '' -39; do
		make "cloud-hypervisor$version"
		is_guest snapshot
		says 0 '^kernel  *Linux' snapshot/state.json
		says 0 '^kernel  *Linux' snapshot/memory-ranges
	done
	"$GUESTDUMP" dmesg snapshot >log
	grep -q 'Linux version' log || fail "no log"
	truncate -s -1M snapshot/memory-ranges
	says 0 'memory-ranges ends early' snapshot
	rm snapshot/memory-ranges
	says 1 'the file memory-ranges, which is part of it, is missing' snapshot
}

part_vmware() {
	lacks=(flags limit gs_base gdt)
	make vmware
	is_guest snapshot/vm.vmss
	says 0 '^kernel  *Linux' snapshot/vm.vmem
	mv snapshot/vm.vmem memory
	says 1 'the file vm.vmem, which is part of it, is missing' snapshot/vm.vmss
	says 0 '^kernel  *Linux' snapshot/vm.vmss memory
	rm snapshot/vm.vmss && mv memory snapshot/vm.vmem
	says 1 'snapshot/vm.vmss or snapshot/vm.vmsn, is missing' snapshot/vm.vmem
	make vmware-tags
	is_guest snapshot/vm.vmss
	lacks=()
}

part_hyperv() {
	make hyperv
	is_guest snapshot/vm.vmrs
	make hyperv-packed
	is_guest snapshot/vm.vmrs
}

part_virtualbox() {
	lacks=(video)
	make virtualbox
	is_guest snapshot/vbox.core
	grep -q 'ELF core, 64 bit of VirtualBox' info || fail "$(cat info)"
	lacks=()
}

part_xen() {
	lacks=(video flags limit gdt idt ldt tr)
	make xen
	is_guest snapshot/xen.core
	lacks=()
}

parts=("$@")
[ $# -gt 0 ] || mapfile -t parts < <(compgen -A function part_)
for part in "${parts[@]/#part_/}"; do "part_$part"; done
