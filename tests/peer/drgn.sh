#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/peer/drgn.sh - drgn opens our dumps and finds the kernel in them, without vmlinux
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/guest.bash"

/usr/bin/python3 -c 'import drgn' 2>/dev/null || skip "needs python3-drgn"
dump_a_guest --mem 512M

for dump in "${dumps[@]}"; do
	/usr/bin/python3 - "$dump" "$release" "$uts_address" <<-'PYTHON' || fail "$dump: see above"
		import sys
		import drgn
		path, release, address = sys.argv[1:]
		prog = drgn.Program()
		prog.set_core_dump(path)
		if not prog.flags & drgn.ProgramFlags.IS_LINUX_KERNEL:
		    sys.exit("not taken for a kernel")
		if prog.platform.arch != drgn.Architecture.X86_64:
		    sys.exit("the machine is %s" % prog.platform)
		if prog["UTS_RELEASE"].string_().decode() != release:
		    sys.exit("the kernel is %s" % prog["UTS_RELEASE"])
		if release.encode() not in prog.read(int(address, 16), 512):
		    sys.exit("init_uts_ns has another release")
		print("%s: %s, init_uts_ns at %s" % (path, release, address))
	PYTHON
done
