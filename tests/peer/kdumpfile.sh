#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/peer/kdumpfile.sh - libkdumpfile knows the machine and the kernel of our dumps, and
# finds the guest's memory in them
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/guest.bash"

/usr/bin/python3 -c 'import kdumpfile' 2>/dev/null || skip "needs python3-libkdumpfile"
dump_a_guest --mem 512M

for dump in "${dumps[@]}"; do
	/usr/bin/python3 - "$dump" memory "$release" "$uts_address" <<-'PYTHON' || fail "$dump: see above"
		import sys
		import kdumpfile
		path, memory, release, address = sys.argv[1:]
		if hasattr(kdumpfile, "Context"):
		    dump = kdumpfile.Context()
		    dump.open(open(path, "rb"))
		    physical, virtual = kdumpfile.MACHPHYSADDR, kdumpfile.KVADDR
		else:  # before 0.5.2
		    dump = kdumpfile.kdumpfile(path)
		    physical, virtual = kdumpfile.KDUMP_MACHPHYSADDR, kdumpfile.KDUMP_KVADDR
		for name, value in (("arch.name", "x86_64"), ("arch.page_size", 4096),
		                    ("arch.byte_order", 1), ("cpu.number", 2),
		                    ("linux.uts.release", release)):
		    found = dump.attr[name]
		    if found != value:
		        sys.exit("%s is %r, not %r" % (name, found, value))
		if b"OSRELEASE=%s" % release.encode() not in bytes(dump.attr["linux.vmcoreinfo.raw"]):
		    sys.exit("VMCOREINFO has no OSRELEASE")
		size = 1 << 20
		with open(memory, "rb") as file:
		    for at in range(0, 256 << 20, size):
		        if bytes(dump.read(physical, at, size)) != file.read(size):
		            sys.exit("other memory from 0x%x on" % at)
		# by the kernel's own page tables
		address = int(address, 16)
		if dump.attr["linux.vmcoreinfo.SYMBOL.init_uts_ns"] != address:
		    sys.exit("VMCOREINFO has init_uts_ns elsewhere")
		try:
		    found = bytes(dump.read(virtual, address, 512))
		except Exception as error:
		    # libkdumpfile 0.5.1 says so of every kdump, also of makedumpfile's
		    if "Cannot determine 5-level paging" not in str(error):
		        raise
		    print("%s: left out: virtual addresses: %s" % (path, error))
		else:
		    if release.encode() not in found:
		        sys.exit("init_uts_ns has another release")
		print("%s: %s, %s" % (path, dump.attr["file.format"], dump.attr["linux.uts.release"]))
	PYTHON
done
