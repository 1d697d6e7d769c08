#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/vmm/tinyvmm.sh TINYVMM - the VMM of examples/ dumps its own guest
#
# What a dump shows of registers and memory is what KVM had when the guest stood still.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires python3
[ -w /dev/kvm ] || skip "needs /dev/kvm"
vmm=$(realpath "$1")
tmpdir
cd "$tmp"

coproc "$vmm" panic.elf 2>said
# shellcheck disable=SC2153,SC2154 # the coprocess
in=${COPROC[1]} pid=$COPROC_PID
cleanup_fn eval "kill $pid 2>/dev/null || true"

# said_all N: wait until it has said so many lines
said_all() {
	local i
	for ((i = 0; i < 600; i++)); do
		[ "$(wc -l <said)" -lt "$1" ] || return 0
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	[ "$(wc -l <said)" -ge "$1" ] || fail "tinyvmm says only: $(cat said)"
}

# shows FILE LINE: registers and counters of FILE are those of lines LINE and LINE + 1
shows() {
	"$GUESTDUMP" verify -q "$1" >/dev/null
	guestdump_json info --json "$1" >json
	"$GUESTDUMP" convert -q --force -f raw "$1" raw
	sed -n "$2,$(($2 + 1))p" said | python3 -c '
import json, re, struct, sys
cpus = json.load(open("json"))["cpus"]
raw = open("raw", "rb").read()
for i, line in enumerate(sys.stdin):
    rip, count = re.fullmatch("CPU %d: rip (\w+), has counted to (\w+)\n" % i, line).groups()
    registers = cpus[i]["registers"]
    assert int(registers["rip"], 16) == int(rip, 16), (rip, registers)
    assert int(registers["rbx"], 16) == 0x2000 + 4 * i, registers
    assert struct.unpack_from("<I", raw, 0x2000 + 4 * i)[0] == int(count, 16), count
assert i == 1 and len(raw) == 4 << 20
assert raw[0x1000:0x1003] == b"\x66\xff\x07"' || fail "$1: another guest: $(cat said)"
}

count_of() {
	"$GUESTDUMP" convert -q --force -f raw "$1" raw
	od -An -tu4 -j $((0x2000)) -N4 raw
}

sleep 0.5       # it counts
echo dump first.elf >&"$in"
said_all 3
shows first.elf 1
echo dump second >&"$in"
said_all 6
shows second 4
"$GUESTDUMP" info second | grep -q '^second: kdump' || fail "second is no kdump"
# beside the guest, which counts on
for file in live.elf live; do
	echo live $file >&"$in"
	echo wait >&"$in"
done
said_all 8
sed -n 7,8p said | grep -c '^live: done$' | grep -qx 2 || fail "live: $(cat said)"
for file in live.elf live; do
	"$GUESTDUMP" verify -q $file >/dev/null
	[ "$(count_of $file)" -ge "$(count_of second)" ] || fail "$file: the guest counts backwards"
done
# a dump that fails leaves the guest running
echo dump first.elf >&"$in"
said_all 11
tail -n1 said | grep -q 'already exists' || fail "an existing file: $(cat said)"
echo dump third >&"$in"
said_all 14
shows third 12
# in the end it panics
echo panic >&"$in"
status=0
wait "$pid" || status=$?
[ $status = 0 ] || fail "tinyvmm ends with $status: $(cat said)"
[ "$(wc -l <said)" = 17 ] || fail "tinyvmm says: $(cat said)"
shows panic.elf 15
[ "$(od -An -tu1 -j $((0xff0)) -N1 raw)" -eq 1 ] || fail "no panic in the dump"
