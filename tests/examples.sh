#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/examples.sh [BUILD-DIRECTORY] - the manual pages' examples that need no guest
# test: examples 300 @BUILD@
#
# tests/guest/examples.sh runs those that do; tests/tools/examples.py says how a page is marked.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3 cc

build=$(realpath "${1:-$root/${BUILD:-build}}")
examples=$root/tests/tools/examples.py
tmpdir
mkdir "$tmp/bin" "$tmp/work"
ln -s "$GUESTDUMP" "$tmp/bin/guestdump"
cd "$root"

# c_example SECTION FILE: the C program in a section of libguestdump.3
c_example() {
	sed -n "/^\.Sh $1/,/^\.Sh /p" man/libguestdump.3 |
		sed -n '/^\.Bd -literal/,/^\.Ed/{/^\./d;s/\\e/\\/g;p}' >"$2"
	[ -s "$2" ] || fail "no C program in $1 of libguestdump.3"
}

# build_c OUTPUT SOURCE...: as the page says, but with the library of this build
build_c() {
	cc -Wall -Wextra -Werror -Iinclude -o "$@" -L"$build/lib" -lguestdump -Wl,-rpath,"$build/lib" ||
		fail "${*:2}: does not compile"
}

test_the_program() {
	c_example EXAMPLES "$tmp/dump.c"
	build_c "$tmp/dump" "$tmp/dump.c"
	# 64 KiB of memory at 1 MiB, as the smallest ELF core there is
	python3 - "$tmp/core" <<-'PYTHON'
		import struct, sys
		with open(sys.argv[1], "wb") as core:
		    core.write(b"\x7fELF\2\1\1".ljust(16, b"\0"))
		    core.write(struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0))
		    core.write(struct.pack("<IIQQQQQQ", 1, 7, 120, 0, 1 << 20, 65536, 65536, 0))
		    core.write(b"guestdump".ljust(65536, b"."))
	PYTHON
	"$tmp/dump" "$tmp/core" "$tmp/out.kdump" 2>/dev/null | grep -qx '16 pages' || fail "dump does not dump"
	fails_with 1 "$tmp/dump" "$tmp/core" "$tmp/out.kdump" 2>/dev/null
	fails_with 2 "$tmp/dump"
}

# Without KVM there are no descriptors, so the guest's CPUs cannot be asked: it has to
# say so, run the guest again, and leave no file.
test_the_vmm() {
	c_example "A VMM'S OWN GUEST" "$tmp/vmm.c"
	cat >"$tmp/main.c" <<-'C'
		#include <sys/mman.h>
		#include <stdio.h>
		#include "vmm.c"
		static int paused;
		int vmm_pause(void *vmm) { (void)vmm; return paused++; }
		int vmm_resume(void *vmm) { (void)vmm; paused--; return 0; }
		static void *map(size_t size)
		{
			return mmap(NULL, size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		}
		int main(int argc, char **argv)
		{
			struct vmm vmm = { .vcpus = { 0, 0 }, .low = map(3ull << 30), .high = map(5ull << 30) };
			struct gdump_error *err = vmm_dump(&vmm, argv[argc - 1]);

			printf("%s\npaused: %d\n", err ? gdump_error_message(err) : "no error", paused);
			gdump_error_destroy(err);
			return 0;
		}
	C
	build_c "$tmp/vmm" "$tmp/main.c"
	"$tmp/vmm" "$tmp/vmm.kdump" </dev/null >"$tmp/out"
	grep -q 'CPU' "$tmp/out" || fail "no CPU is named: $(cat "$tmp/out")"
	grep -qx 'paused: 0' "$tmp/out" || fail "the guest stays paused: $(cat "$tmp/out")"
	[ ! -e "$tmp/vmm.kdump" ] || fail "there is a dump"
}

python3 "$examples" check man/*.[1-9] README.md
python3 "$examples" run --bin "$tmp/bin" --dir "$tmp/work" man/*.[1-9] README.md
test_the_program
test_the_vmm
