#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/filter-kernels.sh [--alone] ARCH[@RELEASE] [-- QEMU-ARGUMENT...] - what dump
# levels leave out of a guest that has pages of all kinds is what the guest itself says of
# them, and page by page what makedumpfile leaves out
#
# --alone: without makedumpfile, whose 1.7.8 knows neither 16 KiB pages nor 52 bits of
# address with 4 KiB ones, and which leaves out tens of thousands of pages that are in use
# of ppc64le with 4 KiB pages and of riscv64
# test: filter-x86_64-5.10 900 x86_64@bullseye
# test: filter-x86_64-6.1 900 x86_64@bookworm
# test: filter-x86_64-6.12 900 x86_64@trixie
# test: filter-x86_64-newest 900 x86_64@forky
# test: filter-x86_64-la57 900 x86_64@forky -- -cpu max,la57=on
# test: filter-aarch64-5.10 900 aarch64@bullseye
# test: filter-aarch64-6.1 900 aarch64@bookworm
# test: filter-aarch64-6.12 900 --alone aarch64@trixie
# test: filter-aarch64-16k 900 --alone aarch64-16k@trixie
# test: filter-aarch64-52bit 900 --alone aarch64@trixie -- -cpu max
# test: filter-aarch64-newest 900 --alone aarch64@forky
# test: filter-s390x-6.1 900 s390x@bookworm
# test: filter-s390x-6.12 900 s390x@trixie
# test: filter-s390x-newest 900 s390x@forky
# test: filter-ppc64le-6.1 900 ppc64le@bookworm
# test: filter-ppc64le-hash 900 ppc64le@bookworm -- -cpu power8
# test: filter-ppc64le-6.12 900 --alone ppc64le@trixie
# test: filter-ppc64le-64k 900 ppc64le-64k@trixie
# test: filter-ppc64le-newest 900 --alone ppc64le@forky
# test: filter-riscv64-6.12 900 --alone riscv64@trixie
# test: filter-riscv64-newest 900 --alone riscv64@forky
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires_full
requires /usr/bin/python3

alone=
if [ "$1" = --alone ]; then alone=yes; shift; fi
arch=$1
shift
machine=${arch%%[@-]*}
case $machine in
ppc64le) cc=powerpc64le-linux-gnu-gcc ;;
*) cc=$machine-linux-gnu-gcc ;;
esac
requires "$cc"
tmpdir
cd "$tmp"

# of the guest's architecture, from the newest release that has one
makedumpfile=${MAKEDUMPFILE:-$("$guest" program "$machine@forky" makedumpfile makedumpfile 2>program.err)} ||
	makedumpfile=

mkdir -p add/bin add/lib/modules
"$cc" -static -O1 -o add/bin/workload "$root/tests/guest/workload.c"
# a block device that has pages with private data
for module in $("$guest" modules "$arch" brd 2>modules.err); do cp "$module" add/lib/modules; done

start_guest vm --arch "$arch" --mem 512M --no-vmcoreinfo --add add "$@"
guest_console uname -rm
GUEST_TIMEOUT=600 guest_console workload /tmp
"$guest" qmp "$guest_dir" stop >stop.out
"$GUESTDUMP" dump -q -E --no-metadata "$guest_source" vm.elf
# how its page tables are made
grep -a -E '^NUMBER\((pgtable_l5_enabled|VA_BITS|TCR_EL1_T1SZ|RADIX_MMU)\)' vm.elf | sort -u || true
for level in 1 2 4 8 16 31; do
	"$GUESTDUMP" dump --no-metadata --progress plain -d $level "$guest_source" ours.$level 2>ours.out ||
		fail "-d $level: $(cat ours.out)"
	! grep -iE 'not filtered|contradict' ours.out || fail "level $level: see above"
	# out of a file, where VMCOREINFO is a note
	"$GUESTDUMP" convert -q -d $level vm.elf converted
	cmp ours.$level converted || fail "level $level: the file leaves out something else"
	rm converted
done
grep 'keeping [0-9]* pages' ours.out

/usr/bin/python3 "$root/tests/tools/pageflags.py" vm.elf ours.{2,4,8,16,31} ||
	fail "that is not what the guest says"
"$GUESTDUMP" verify -q ours.31 || fail "verify"

[ -z "$alone" ] || exit 0
[ -n "$makedumpfile" ] || { echo "left out: makedumpfile: $(tail -n1 program.err)"; exit 0; }
for level in 1 2 4 8 16 31; do
	if ! "$makedumpfile" -d $level vm.elf theirs.$level >theirs.out 2>&1; then
		tail -n 3 theirs.out | tr '\r' '\n'
		fail "makedumpfile -d $level"
	fi
	PYTHONDONTWRITEBYTECODE=1 "$root/tests/tools/leftout.py" vm.elf ours.$level theirs.$level ||
		fail "level $level: not the same pages"
	rm theirs.$level
done
