#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/savevm.sh [--full] [--arch ARCH] [--machine OPTIONS] [PART...]
#
# A guest's saved state, converted, is the dump that QEMU makes of the same stopped guest:
# the same memory, registers and VMCOREINFO.  PART: a function part_* below.
#
# Streams of other versions are in the unit tests only, made by hand.  So is the header of libvirt's
# save file here: libvirt itself is not needed.
#
# test: savevm 300 stopped volume compressed snapshot live cut libvirt
# test: savevm-peer 300 makedumpfile
# test: savevm-qcow2 300 --disk qcow2
# test: savevm-newer 600 --newer --disk mapped volume qcow2
# test: savevm-q35 300 --machine q35,max-ram-below-4g=256M stopped
# test: savevm-i386 300 --full --arch i386 --machine pc stopped
# test: savevm-aarch64 300 --full --arch aarch64 stopped
# test: savevm-s390x 300 --full --arch s390x stopped
# test: savevm-ppc64le 300 --full --arch ppc64le stopped
# test: savevm-riscv64 300 --full --arch riscv64 stopped
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# make_disk: a disk that can have snapshots
make_disk() {
	requires qemu-img
	tmpdir
	qemu-img create -q -f qcow2 "$tmp/disk.qcow2" 64M
	disk=(-drive "file=$tmp/disk.qcow2,if=none,id=disk0,format=qcow2"
		-device "virtio-blk-pci,drive=disk0")
}

arch=x86_64 machine="" formats="elf kdump" disk=()
while [ $# -gt 0 ]; do
	case $1 in
	--full) requires_full; shift ;;
	--arch) arch=$2; shift 2 ;;
	--machine) machine=$2; shift 2 ;;
	--newer) requires_full; newer_qemu; shift ;;
	--disk) make_disk; shift ;;
	*) break ;;
	esac
done
# Two ranges of memory without a guest of more than 4 GiB
[ "$arch" != x86_64 ] || machine=${machine:-pc,max-ram-below-4g=256M}

requires python3
start_guest vm --arch "$arch" --mem 512M -- ${machine:+-machine "$machine"} "${disk[@]}"
cd "$tmp"

qmp() { "$guest" qmp "$guest_dir" "$@" >answer || fail "QEMU, asked for $*: $(cat answer)"; }

# answer NAME EXPRESSION: of the query NAME, as Python's "r"
answer() { qmp "$1" && python3 -c "import json, sys; r = json.load(sys.stdin); print($2)" <answer; }

# capabilities on|off NAME...
capabilities() {
	local state=true name list=
	[ "$1" = on ] || state=false
	shift
	for name; do list+=",{\"capability\":\"$name\",\"state\":$state}"; done
	qmp "{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":[${list#,}]}}"
}

# parameters BANDWIDTH DOWNTIME: bytes for each second, and milliseconds
parameters() {
	qmp "{\"execute\":\"migrate-set-parameters\",\"arguments\":{\"max-bandwidth\":$1,\"downtime-limit\":$2}}"
}

# save FILE: and wait until it is there
save() {
	local end=$((SECONDS + 120))
	qmp "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"${uri:-exec:cat > $tmp/$1}\"}}"
	until [ "$(answer query-migrate 'r["status"]')" = completed ]; do
		! grep -q '"failed"' answer || fail "QEMU could not save: $(cat answer)"
		[ $SECONDS -lt $end ] || fail "QEMU saves for too long: $(cat answer)"
		sleep 0.2
	done
}

# qemu_dump FILE: QEMU's own
qemu_dump() {
	qmp "{\"execute\":\"dump-guest-memory\",\"arguments\":{\"paging\":false,\"protocol\":\"file:$tmp/$1\"}}"
}

# equal STATE DUMP [OPTION...]: both converted are the same files, in each piece of RAM.  QEMU dumps
# firmware as well, so this is asked for by place.
equal() {
	local begin length ranges
	ranges=$("$GUESTDUMP" info "${@:3}" "$1" | sed -n 's/^  \([0-9a-f]*\)-\([0-9a-f]*\) .* RAM$/\1 \2/p')
	[ -n "$ranges" ] || fail "$1: no memory"
	while read -r begin length; do
		length=$((16#$length - 16#$begin + 1)) begin=0x$begin
		for format in $formats; do
			rm -f a.out b.out
			"$GUESTDUMP" convert -q -f "$format" --begin "$begin" --length $length "${@:3}" "$1" a.out
			"$GUESTDUMP" convert -q -f "$format" --begin "$begin" --length $length "$2" b.out
			cmp a.out b.out || fail "$1 and $2 differ in the $format of $begin and $length bytes"
		done
	done <<<"$ranges"
}

# A guest that was saved can only be saved again after it went on
pause() { qmp cont stop; }

part_stopped() {
	pause
	save state
	qemu_dump dump
	"$GUESTDUMP" info state >info.txt
	case $arch in
	x86_64) [ "$(grep -c ' RAM$' info.txt)" = 2 ] || fail "not two pieces of memory: $(cat info.txt)" ;;&
	x86_64 | i386 | aarch64) grep -q '^vmcoreinfo' info.txt || fail "no VMCOREINFO: $(cat info.txt)" ;;
	*) formats=lime ;;      # no registers from these: the others differ by the notes
	esac
	equal state dump
}

# same STATE OTHER: both are the same dump, registers and all
same() {
	rm -f a.out b.out
	"$GUESTDUMP" convert -q -f elf "$1" a.out
	"$GUESTDUMP" convert -q -f elf "$2" b.out
	cmp a.out b.out || fail "$2 gives another dump than $1"
}

# A volume is larger than the stream in it.  Behind it is what was there before: zeros, or the end
# of an older stream.
part_volume() {
	local size device
	size=$(stat -c %s state)
	cp state zeros
	truncate -s +200M zeros
	same state zeros
	{ cat state; tail -c 3000000 state; } >stale
	same state stale
	# a host that went down while it saved to such a volume: the older stream is complete
	{ head -c $((size - 100000)) state; tail -c 3000000 state; } >half
	"$GUESTDUMP" info half >/dev/null 2>warning.txt
	grep -q 'ends before all devices were saved' warning.txt || fail "no warning: $(cat warning.txt)"
	fails_with 3 "$GUESTDUMP" verify -q half
	device=$(losetup --show --read-only --find zeros 2>/dev/null) ||
		{ echo "no loop device: only files were tried"; return; }
	cleanup_fn losetup -d "$device"
	same state "$device"
	[ "$("$GUESTDUMP" info -r "$device" | tail -n +2)" = "$("$GUESTDUMP" info -r state | tail -n +2)" ] ||
		fail "$device: $("$GUESTDUMP" info -r "$device")"
}

# snapshot_of NAME: the guest's state into its disk
snapshot_of() {
	"$guest" hmp "$guest_dir" savevm "$1" >answer
	! grep -q Error answer || fail "savevm: $(cat answer)"
}

# A snapshot in the disk image: the only one, and of several the one that was named; while QEMU has the
# image open, and the disk has data as well
part_qcow2() {
	local image=$tmp/disk.qcow2
	pause
	"$guest" hmp "$guest_dir" 'qemu-io disk0 "write -P 0x55 0 2M"' >/dev/null
	snapshot_of first
	qemu_dump dump.first
	"$GUESTDUMP" info "$image" >info.txt
	grep -q 'snapshot first of a qcow2 image' info.txt || fail "not called so: $(cat info.txt)"
	grep -q '^vmcoreinfo' info.txt || fail "no VMCOREINFO: $(cat info.txt)"
	equal "$image" dump.first
	pause
	snapshot_of second
	qemu_dump dump.second
	qemu-img create -q -u -f qcow2 -b disk.qcow2 -F qcow2 over.qcow2 64M
	fails_with 2 "$GUESTDUMP" verify -q "$image" 2>message.txt
	grep -q 'choose one with --snapshot: .*first.*second' message.txt || fail "$(cat message.txt)"
	"$GUESTDUMP" info "$image" >info.txt || fail "info: status $?"
	[ "$(grep -c 'UTC .* MiB .*\(first\|second\)$' info.txt)" = 2 ] || fail "$(cat info.txt)"
	guestdump_json info --json "$image" >info.json
	grep -q '"name": *"second"' info.json || fail "$(cat info.json)"
	equal "$image" dump.first --snapshot first
	equal "$image" dump.second --snapshot 2
	fails_with 2 "$GUESTDUMP" info --snapshot third "$image" 2>message.txt
	grep -q "no snapshot 'third'" message.txt || fail "$(cat message.txt)"
	fails_with 2 "$GUESTDUMP" info --snapshot first dump.first 2>message.txt
	# the disk above has none itself
	fails_with 1 "$GUESTDUMP" info over.qcow2 2>message.txt
	grep -q 'none of which has the guest' message.txt || fail "$(cat message.txt)"
}

# file_migrate FILE: save to a file that QEMU itself opens
file_migrate() { uri=file:$tmp/$1 save "$1"; }

# QEMU 9 and newer: each page has its place in the file.  Also with several channels and direct I/O.
part_mapped() {
	pause
	capabilities on mapped-ram
	file_migrate state
	qemu_dump dump.mapped
	"$GUESTDUMP" info state | grep -q mapped-ram || fail "no mapped-ram"
	equal state dump.mapped
	pause
	capabilities on multifd
	file_migrate channels
	qemu_dump dump.channels
	equal channels dump.channels
	pause
	qmp '{"execute":"migrate-set-parameters","arguments":{"direct-io":true}}'
	if (file_migrate direct) 2>message.txt; then
		qemu_dump dump.direct
		equal direct dump.direct
	else
		echo "no direct I/O here: $(cat message.txt)"
	fi
	qmp '{"execute":"migrate-set-parameters","arguments":{"direct-io":false}}'
	capabilities off multifd mapped-ram
	# what was saved may be sparse, or not
	cp --sparse=never state full
	same state full
}

part_compressed() {
	pause
	capabilities on compress
	save packed
	capabilities off compress
	[ "$(stat -c %s packed)" -lt "$(($(stat -c %s state) * 3 / 4))" ] || fail "nothing was packed"
	qemu_dump dump.packed
	equal packed dump.packed
}

# Of a stopped guest, so that it can be compared.  QEMU 7.2 lets the guest go on then.
part_snapshot() {
	pause
	qemu_dump dump.snapshot
	capabilities on background-snapshot
	save snapshot
	capabilities off background-snapshot
	equal snapshot dump.snapshot
}

# The guest goes on while it is saved: pages come again, whole or as changes (XBZRLE).
# What is true then is what QEMU makes of the file: with changes, the pages of QEMU 7.2's
# own stream are not always those of the guest.
part_live() {
	qmp cont
	# shellcheck disable=SC2016 # the guest's shell
	guest_console 'head -c 4M /dev/urandom >/tmp/dirty; (while :; do i=0
		while [ $i -lt 1024 ]; do printf $i | dd of=/tmp/dirty bs=4096 seek=$i conv=notrunc
		i=$((i + 16)); done; done) >/dev/null 2>&1 &' >/dev/null
	capabilities on xbzrle
	parameters 40000000 1
	save live
	parameters 1000000000000 300
	[ "$(answer query-migrate 'r["xbzrle-cache"]["pages"]')" -gt 0 ] || fail "no XBZRLE page came"
	[ "$(answer query-migrate 'r["ram"]["dirty-sync-count"]')" -gt 3 ] || fail "no page came twice"
	capabilities off xbzrle
	start_guest restored --arch "$arch" --mem 512M --wait 0 -- ${machine:+-machine "$machine"} \
		-S -incoming "exec:cat $tmp/live"
	while [ "$(answer query-status 'r["status"]')" = inmigrate ]; do sleep 0.2; done
	qemu_dump dump.live
	equal live dump.live
}

# What a host left that went down while it saved: what is there is right, and it says so
part_cut() {
	head -c 60M state >part
	"$GUESTDUMP" info part >info.txt 2>warning.txt
	grep -q 'ends before all memory' warning.txt || fail "no warning: $(cat warning.txt)"
	fails_with 3 "$GUESTDUMP" convert -q part part.kdump 2>warning.txt
	"$GUESTDUMP" info part.kdump >info.txt
	grep -q '^memory.* [1-9][0-9]* missing' info.txt ||
		fail "nothing is missing: $(cat info.txt)"
}

part_libvirt() {
	python3 - state saved <<-'END'
		import struct, sys
		xml = b"<domain type='qemu'><os><type arch='x86_64' machine='pc'>hvm</type></os></domain>\0"
		xml += bytes(1024 - len(xml))
		head = b"LibvirtQemudSave" + struct.pack("<IIIII", 2, len(xml), 1, 0, 0) + bytes(56)
		open(sys.argv[2], "wb").write(head + xml + open(sys.argv[1], "rb").read())
	END
	"$GUESTDUMP" info saved | grep -q 'libvirt save file' || fail "not seen as libvirt's"
	"$GUESTDUMP" convert -q state a.out -f elf --force
	"$GUESTDUMP" convert -q saved b.out -f elf --force
	cmp a.out b.out || fail "libvirt's file gives another dump"
	{ head -c 1116 saved; gzip -1 <state; } >saved.gz
	fails_with 1 "$GUESTDUMP" info saved.gz 2>message.txt
	# the command that the message gives
	sed 's/.*\((head .*\)) > NEW/\1)/; s/FILE/saved.gz/g' message.txt >unpack.sh
	bash unpack.sh >unpacked
	cmp saved unpacked || fail "this does not unpack it: $(cat message.txt)"
}

part_makedumpfile() {
	requires makedumpfile
	pause
	save state
	"$GUESTDUMP" convert -q state state.kdump
	makedumpfile --dump-dmesg state.kdump dmesg >log 2>&1 || fail "--dump-dmesg: $(cat log)"
	grep -q 'Linux version' dmesg || fail "no kernel log in it"
	makedumpfile -c -d 31 state.kdump small >log 2>&1 || fail "-d 31: $(cat log)"
	[ "$(stat -c %s small)" -lt "$(stat -c %s state.kdump)" ] || fail "nothing was filtered"
}

for part; do
	"part_$part"
	echo "$part: ok"
done
