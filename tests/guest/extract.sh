#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/guest/extract.sh - a process of a guest as an ELF core: gdb sees its threads, variables and
# mappings, from a dump and from the running guest
# test: extract 900 x86_64
# test: extract-aarch64 900 aarch64

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
arch=${1:-x86_64}
compiler=gcc debugger=gdb
if [ "$arch" != "$(uname -m)" ]; then
	requires_full
	compiler=$arch-linux-gnu-gcc debugger=gdb-multiarch
fi
requires python3 nm "$compiler" "$debugger"
tmpdir
cd "$tmp"
mkdir tree
"$compiler" -g -O1 -fno-omit-frame-pointer -static -o tree/victim "$root/tests/guest/victim.c" -pthread 2>err ||
	skip "cannot link a static program: $(cat err)"

start_guest g --arch "$arch" --add "$tmp/tree"
guest_console '/victim >/tmp/victim.out 2>&1 &' >out
for _ in $(seq 600); do
	guest_console 'cat /tmp/victim.out' >out
	! grep -q ready out || break
	sleep 0.2
done
pid=$(sed -n 's/^ready \([0-9]*\).*/\1/p' out)
[ -n "$pid" ] || fail "the program does not run: $(cat out)"
# both threads wait by now
for _ in $(seq 600); do
	guest_console "cat /proc/$pid/task/*/status" >status
	[ "$(grep -c '^State:.*S (sleeping)' status)" != 2 ] || break
	sleep 0.2
done
guest_console "cat /proc/$pid/maps" >maps

"$GUESTDUMP" extract --process "$pid" --output live.core "$guest_source" >out || fail "a running guest: status $?"
grep -q "^process $pid victim: [0-9]* mappings, 2 threads, " out || fail "extract prints $(cat out)"
"$GUESTDUMP" extract --pause --process "$pid" --output paused.core "$guest_source" >out || fail "--pause: status $?"
[ "$(guest_status)" = running ] || fail "the guest is $(guest_status)"
"$GUESTDUMP" dump -q "$guest_source" vm.kdump
"$GUESTDUMP" extract --process "$pid" --output file.core vm.kdump >out || fail "a dump: status $?"

cat >commands <<'END'
set pagination off
thread apply all backtrace
dump binary memory pattern.bin &pattern[0] &pattern[65536]
print (char *)sparse_text
END
for core in live.core paused.core file.core; do
	[ "$(stat -c %a $core)" = 600 ] || fail "the mode of $core"
	rm -f pattern.bin
	"$debugger" -batch -nx -x commands tree/victim $core </dev/null >gdb.out 2>&1 || fail "gdb $core: $(cat gdb.out)"
	# one stack ends in main(), the other in sleeper()
	for function in 'innermost (depth=.*1)' 'innermost (depth=.*42)' 'middle (depth=.*0)' 'middle (depth=.*41)' \
		'sleeper (' 'main ()'; do
		grep -q "^#[0-9]* .* $function" gdb.out || fail "gdb $core: no $function: $(cat gdb.out)"
	done
	grep -q 'in the middle of nothing' gdb.out || fail "gdb $core: $(cat gdb.out)"
	python3 - $core maps <<'END' || fail "$core: see above"
import struct, sys
core = open(sys.argv[1], "rb").read()
want = bytes((i * 7 + i // 256) % 256 for i in range(65536))
if open("pattern.bin", "rb").read() != want:
    sys.exit("the variable has other contents")
phoff, = struct.unpack_from("<Q", core, 32)
num, = struct.unpack_from("<H", core, 56)
segments = []
for i in range(num):
    kind, flags, off, vaddr, _, filesz, memsz = struct.unpack_from("<IIQQQQQ", core, phoff + 56 * i)
    if kind == 1:
        if off + filesz > len(core):
            sys.exit("a segment exceeds the file")
        segments.append((vaddr, vaddr + memsz, flags))
# segments of one mapping follow each other
def covered(start, end):
    for a, b, _ in segments:
        if a == start and start < end:
            start = b
    return start == end
for line in open(sys.argv[2]):
    words = line.split()
    if not words or "-" not in words[0] or words[-1] == "[vsyscall]":
        continue
    start, end = (int(n, 16) for n in words[0].split("-"))
    if not covered(start, end):
        sys.exit("not in the core: " + line)
    flags = [f for a, _, f in segments if a == start][0]
    if [flags >> 2 & 1, flags >> 1 & 1, flags & 1] != [c != "-" for c in words[1][:3]]:
        sys.exit("other rights: " + line)
if b"/victim\0" not in core:
    sys.exit("the name of the program is missing")
END
done

# --- virtual memory, as it is -----------------------------------------------------

pattern=$(nm tree/victim | sed -n 's/ [BbDd] pattern$//p')
banner=$(guest_console "grep ' linux_banner$' /proc/kallsyms" | sed -n 's/ [A-Za-z] linux_banner\r*$//p')
[[ $pattern && $banner ]] || fail "no addresses: pattern $pattern, linux_banner $banner"
for input in "$guest_source" vm.kdump; do
	rm -f memory banner
	"$GUESTDUMP" extract --process "$pid" --vaddr "0x$pattern:64K" -o memory "$input" || fail "--vaddr: $input: status $?"
	cmp memory pattern.bin || fail "--vaddr: $input: other memory"
	"$GUESTDUMP" extract --vaddr "0x$banner:14" -o banner "$input" || fail "--vaddr of the kernel: $input: status $?"
	[ "$(cat banner)" = 'Linux version ' ] || fail "$input: the kernel's memory: $(cat banner)"
done
fails_with 1 "$GUESTDUMP" extract --process "$pid" --vaddr 0:4K -o new.core vm.kdump 2>err
grep -q 'virtual address 0x0 is not mapped' err || fail "not mapped: $(cat err)"
fails_with 2 "$GUESTDUMP" extract --vaddr 0x1000 -o new.core vm.kdump 2>err
fails_with 2 "$GUESTDUMP" extract --vaddr 0:4K --vaddr 0:8K -o new.core vm.kdump 2>err
[ ! -e new.core ] || fail "a file remains"

# --- what there is not ----------------------------------------------------------

fails_with 1 "$GUESTDUMP" extract --process "$pid" --output file.core vm.kdump 2>err
grep -q 'file.core' err || fail "the file exists: $(cat err)"
"$GUESTDUMP" extract --force --process "$pid" --output file.core vm.kdump >out
fails_with 2 "$GUESTDUMP" extract --process 99999 --output new.core vm.kdump 2>err
grep -q 'there is no process 99999' err || fail "no process: $(cat err)"
fails_with 2 "$GUESTDUMP" extract --process 2 --output new.core vm.kdump 2>err
grep -q 'process 2 has no memory of its own' err || fail "a thread of the kernel: $(cat err)"
fails_with 2 "$GUESTDUMP" extract --output new.core vm.kdump 2>err
fails_with 2 "$GUESTDUMP" extract --process 1 vm.kdump 2>err
[ ! -e new.core ] || fail "a file remains"

# without user data there are only holes
"$GUESTDUMP" convert -q -d 8 vm.kdump no-user.kdump
"$GUESTDUMP" extract --process "$pid" --output holes.core no-user.kdump >out
grep -q 'are mapped and not there' out || fail "omitted: $(cat out)"
[ "$(stat -c %s holes.core)" -lt "$(stat -c %s file.core)" ] || fail "nothing is omitted"
