#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# QEMU's own dump of a real guest, converted: gdb reads kernel memory by its virtual
# address from an ELF file with --paging, and both of QEMU's formats give the same file.
#
# test: arch-aarch64 300 aarch64
# test: arch-i386 300 i386
# test: arch-ppc64le 300 ppc64le
# test: arch-s390x 300 s390x
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
arch=$1
requires_full
requires gdb-multiarch python3
start_guest g --arch "$arch"
# shellcheck disable=SC2154 # guest_dir, tmp and guest are lib.sh's
"$guest" qmp "$guest_dir" stop >/dev/null
for format in elf kdump-zlib; do
	"$guest" qmp "$guest_dir" '{"execute": "dump-guest-memory", "arguments": {"paging": false,
		"protocol": "file:'"$tmp/$format"'", "format": "'$format'"}}' >/dev/null
	"$GUESTDUMP" convert -q "$tmp/$format" "$tmp/$format.kdump"
	"$GUESTDUMP" convert -q -E --paging "$tmp/$format" "$tmp/$format.elf"
done
cmp "$tmp/elf.kdump" "$tmp/kdump-zlib.kdump"
cmp "$tmp/elf.elf" "$tmp/kdump-zlib.elf"

# the release in init_uts_ns, and where it is
read -r release address < <(guestdump_json info --json "$tmp/elf" | python3 -c '
import json, re, sys
info = json.load(sys.stdin)
value = lambda key, base: int(re.search(re.escape(key) + "=(\\w+)", info["vmcoreinfo"]).group(1), base)
print(info["kernel_release"], hex(value("SYMBOL(init_uts_ns)", 16) + value("OFFSET(uts_namespace.name)", 10) + 130))')
gdb-multiarch -nx -batch -ex "core-file $tmp/elf.elf" -ex "x/s $address" 2>&1 | tee "$tmp/gdb" |
	grep -qF "\"$release\"" || fail "gdb: $(cat "$tmp/gdb")"
