#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/readers.sh MACHINE - a guest of MACHINE is dumped in every form, by us and by
# QEMU; each dump, converted in every direction, is opened by every reader, which must
# find the guest's memory, registers, kernel and log.  What a reader cannot is in "cannot"
# below, with the message that it must then give.  Prints a table.
#
# makedumpfile is that of MACHINE, emulated; drgn and libkdumpfile are those that are
# installed and those of the next Debian.
#
# test: readers-x86_64 1800 x86_64
# test: readers-i386 1800 i386
# test: readers-aarch64 1800 aarch64
# test: readers-s390x 1800 s390x
# test: readers-ppc64le 1800 ppc64le
# test: readers-ppc64le-pnv 1800 ppc64le-pnv
# test: readers-riscv64 1800 riscv64
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/../peer/guest.bash"
requires_full
requires /usr/bin/python3

arch=$1 uname=${1%%-*} mem=256M base=0 options=()
case $arch in
aarch64) base=0x40000000 ;;
riscv64) base=0x80000000 ;;
ppc64le-pnv) mem=2G ;;		# it takes no less
# with KASLR its makedumpfile filters nothing
i386) options=(--append nokaslr) ;;
esac

# READER MACHINE DUMP, patterns of the shell; behind them a part of what the reader says.
cannot='
# it reads only the other kind of file
gdb          *       *.kdump  not a core dump
gdb          *       *.flat   not a core dump
readelf      *       *.kdump  Not an ELF file
readelf      *       *.flat   Not an ELF file
eu-readelf   *       *.kdump  not a valid ELF file
eu-readelf   *       *.flat   not a valid ELF file
eu-elflint   *       *.kdump  Not an ELF file
eu-elflint   *       *.flat   Not an ELF file
# a stream is for "makedumpfile -R", which is tried below
makedumpfile *       *.flat   valid ehdr
# Debian builds it without these
makedumpfile *       snappy.* readmem: type_addr
makedumpfile *       zstd.*   readmem: type_addr
# "makedumpfile -d 31": here it looks for page structures of all addresses up to the ROM below
# 4 GiB; there it finds no page that may go
refilter     i386    *        The makedumpfile operation may be incomplete
refilter     riscv64 *        leaves nothing out
# it takes the address of the kernel for that of all memory, where no segment tells
makedumpfile i386    *.kdump  readmem: type_addr
# of Debian 12: flattened files since 0.5.3, RISC-V since 0.5.2
kdumpfile-12 *       *.flat   Unknown file format
drgn-12      *       *.flat   not an ELF core file
kdumpfile-12 riscv64 *        arch.name is None
drgn-12      riscv64 *.kdump  ARCH_NAME
# of Debian 12: asks for the page tables by a virtual address
kdumpfile-12 i386    *.kdump  Infinite recursion loop
drgn-12      i386    *.kdump  Infinite recursion loop
'

# --- the dumps ----------------------------------------------------------------

start_guest vm --arch "$arch" --mem $mem "${options[@]}"
cd "$tmp"
learn_facts "$uname" $base
[ "$(grep -ac GUESTDUMP-CANARY memory)" -gt 1000 ] || [ $mem = 2G ] || fail "the memory is not the guest's"

dump() { "$GUESTDUMP" dump -q "$@"; }
convert() { "$GUESTDUMP" convert -q "$@"; }
qemu_dump() {
	"$guest" qmp "$guest_dir" '{"execute": "dump-guest-memory", "arguments": {"paging": false,
		"protocol": "file:'"$tmp/$2"'", "format": "'"$1"'"}}' >qemu.out || fail "QEMU: $(cat qemu.out)"
}

mapfile -t codecs < <(guestdump_json list --json |
	/usr/bin/python3 -c 'import json, sys
for codec in json.load(sys.stdin)["codecs"]:
    if codec["library"]: print(codec["name"])')
for codec in "${codecs[@]}"; do dump -C "$codec" "$guest_source" "$codec.kdump"; done
dump "$guest_source" - | cat >stream.flat
dump --split 3 "$guest_source" part
dump -E "$guest_source" our.elf
dump -f lime "$guest_source" memory.lime
qemu_dump elf qemu-elf
qemu_dump kdump-zlib qemu-kdump
"$guest" stop "$guest_dir"

convert part-[123] split.kdump
convert memory.lime lime.kdump
convert our.elf from-elf.kdump
convert qemu-elf qemu-elf.kdump
convert qemu-kdump qemu-kdump.kdump
convert -E --paging our.elf paging.elf
convert -E zlib.kdump from-kdump.elf
convert -E qemu-elf qemu-elf.elf
convert -E qemu-kdump qemu-kdump.elf
dumps=(zlib.kdump)
for codec in "${codecs[@]}"; do [ "$codec" = zlib ] || dumps+=("$codec.kdump"); done
dumps+=(stream.flat split.kdump lime.kdump from-elf.kdump qemu-elf.kdump qemu-kdump.kdump
	our.elf paging.elf from-kdump.elf qemu-elf.elf qemu-kdump.elf)

# --- the readers: each says nothing of note, or what is wrong, and its status -----------

# registers PATTERN FILE: numbers in FILE behind PATTERN are those of the CPUs
same_registers() {
	/usr/bin/python3 - "$@" <<-'PYTHON'
		import json, re, sys
		pattern, path = sys.argv[1:]
		columns = re.compile(pattern).groups
		found = sorted([int(word, 16) for word in (match if columns > 1 else [match])]
		               for match in re.findall(pattern, open(path).read()))
		wanted = sorted(cpu[:columns] for cpu in json.load(open("facts.json"))["registers"])
		if found != wanted:
		    sys.exit("registers %s, not %s" % (found, wanted))
	PYTHON
}

fact() { /usr/bin/python3 -c 'import json, sys; print(json.load(open("facts.json"))[sys.argv[1]])' "$1"; }

read_kdumpfile-12() { /usr/bin/python3 "$root/tests/peer/read_kdumpfile.py" facts.json "$@"; }
read_drgn-12() { /usr/bin/python3 "$root/tests/peer/read_drgn.py" facts.json "$@"; }
next_python() { PYTHONHOME=${python%/*}/usr "$python" "$@"; }
read_kdumpfile-13() { next_python "$root/tests/peer/read_kdumpfile.py" facts.json "$@"; }
read_drgn-13() { next_python "$root/tests/peer/read_drgn.py" facts.json "$@"; }

read_makedumpfile() {
	rm -f dmesg
	"$makedumpfile" --dump-dmesg "$1" dmesg && same_log dmesg
}

# shellcheck disable=SC2016 # of gdb's
read_gdb() {
	gdb-multiarch -nx -batch -ex "core-file $1" -ex "x/s $(fact release_at)" \
		-ex 'thread apply all -q printf "register %lx %lx\n", $pc, $sp' >gdb.out 2>&1 || true
	cat gdb.out
	grep -qF "\"$(cat release)\"" gdb.out && same_registers 'register (\w+) (\w+)' gdb.out
}

read_readelf() {
	LC_ALL=C readelf -W -h -l -n "$1" >readelf.out 2>readelf.err || true
	cat readelf.err
	[ ! -s readelf.err ] && [ "$(grep -c PRSTATUS readelf.out)" = 2 ] && grep -q VMCOREINFO readelf.out
}

read_eu-readelf() {
	LC_ALL=C eu-readelf -h -l -n "$1" >readelf.out 2>readelf.err || true
	cat readelf.err
	[ ! -s readelf.err ] && grep -q VMCOREINFO readelf.out &&
		same_registers '\b(?:rip|eip|pc|pswa|nip): +0x(\w+)' readelf.out
}

# It knows a note's type only if all machines have it: 0 are QEMU's and the kernel's own, 0x100
# to 0x102 the vectors of POWER, 0x300 to 0x30b the registers of s390x, 0x47440001 is ours.
# The last bytes of e_ident, which readers ignore, say that there is a checksum.
read_eu-elflint() {
	local types='0|25[678]|7(6[89]|7[0-9])|1195638785'
	LC_ALL=C eu-elflint "$1" >lint.out 2>&1 || true
	! grep -vE "^phdr\[0\]: unknown core file note type ($types) at offset [0-9]+\$|^e_ident\[1[2-5]\] is not zero\$|^No errors\$" lint.out
}

# --- which of them are here -----------------------------------------------------

readers=()
has() { readers+=("$1"); }
lacks() { echo "left out: $1"; }
if /usr/bin/python3 -c 'import kdumpfile' 2>/dev/null; then has kdumpfile-12; else lacks kdumpfile-12; fi
if /usr/bin/python3 -c 'import drgn' 2>/dev/null; then has drgn-12; else lacks drgn-12; fi
if python=$("$guest" program --next "$(uname -m)" python3 python3 python3-drgn python3-libkdumpfile); then
	has kdumpfile-13
	has drgn-13
else
	lacks "kdumpfile-13 and drgn-13"
fi
if makedumpfile=$("$guest" program "$arch" makedumpfile makedumpfile); then
	has makedumpfile
else
	lacks makedumpfile
fi
for tool in gdb-multiarch readelf eu-readelf eu-elflint; do
	if command -v $tool >/dev/null; then has "${tool%-multiarch}"; else lacks $tool; fi
done
[ ${#readers[@]} != 0 ] || skip "no reader is here"

# --- all of it ------------------------------------------------------------------

# what the reader must say of the dump, if it cannot read it
why_not() {
	local reader machine dump message
	while read -r reader machine dump message; do
		# shellcheck disable=SC2053 # patterns
		if [[ $1 == $reader && $arch == $machine && $2 == $dump ]]; then
			echo "$message"
			return
		fi
	done <<<"$cannot"
}

# Sets result: ok, "-" when it cannot and says why, or FAIL
try() {
	local out status=0 message known=()
	if [ "$2" = lime.kdump ]; then known=(no-registers); fi
	out=$("read_$1" "$2" "${known[@]}" 2>&1) || status=$?
	message=$(why_not "$1" "$2")
	result=ok
	if [ $status = 0 ]; then return; fi
	result=-
	if [ -z "$message" ] || ! grep -qF -- "$message" <<<"$out"; then
		result=FAIL
		failed+="$1 $2: $(tail -n 3 <<<"$out")"$'\n'
	fi
}

# twin DUMP: another one, tried already, with the same bytes
twin() {
	local other
	for other in "${tried[@]}"; do
		if cmp -s "$1" "$other"; then
			echo "$other"
			return
		fi
	done
}

failed='' tried=()
printf '%-18s' "$arch"
printf ' %s' "${readers[@]}"
echo
for dump in "${dumps[@]}"; do
	printf '%-18s' "$dump"
	same=$(twin "$dump")
	if [ -n "$same" ]; then
		echo " the same bytes as $same"
		continue
	fi
	tried+=("$dump")
	for reader in "${readers[@]}"; do
		try "$reader" "$dump"
		printf " %-${#reader}s" "$result"
	done
	echo
done
[ -z "$failed" ] || fail "$failed"

# --- makedumpfile does more than read ---------------------------------------------

[ -n "$makedumpfile" ] || exit 0
make() {
	rm -f made
	"$makedumpfile" "$@" made >make.out 2>&1 || fail "makedumpfile $*: $(tail -n 3 make.out)"
}
excluded() {
	guestdump_json info --json "$1" |
		/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["omitted"])'
}
make -R <stream.flat
convert stream.flat rearranged
cmp made rearranged || fail "makedumpfile -R of the stream is not what is written to a file"
make --reassemble part-[123]
"$GUESTDUMP" verify -q made >verify.out || fail "makedumpfile --reassemble: $(cat verify.out)"
inputs=(our.elf zlib.kdump)
if [ -n "$(why_not makedumpfile zlib.kdump)" ]; then inputs=(our.elf); fi
# What it leaves out of dump $1 goes to the file "num"; says why it cannot.
refilter() {
	rm -f made
	"$makedumpfile" -l -d 31 "$1" made >make.out 2>&1 || { tail -n 3 make.out; return; }
	"$GUESTDUMP" verify -q made >verify.out || fail "makedumpfile -d 31 $1: $(cat verify.out)"
	excluded made >num
	[ "$(cat num)" -gt 100 ] || echo "leaves nothing out"
}
left_out=
for input in "${inputs[@]}"; do
	reason=$(why_not refilter "$input")
	said=$(refilter "$input")
	[[ $said == *"$reason"* && ( -z $said || -n $reason ) ]] || fail "makedumpfile -d 31 $input: $said"
	[ -z "$reason" ] || { left_out="nothing, it cannot"; continue; }
	[ -z "$left_out" ] || [ "$left_out" = "$(cat num)" ] ||
		fail "makedumpfile leaves other pages out of ELF than of kdump"
	left_out=$(cat num)
done
echo "makedumpfile: -R, --reassemble; -d 31 leaves out pages: $left_out"
