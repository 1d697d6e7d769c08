#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/peer/elf.sh - readelf, eu-readelf and eu-elflint have nothing to say against our ELF
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/peer/guest.bash
. "$(dirname "$0")/guest.bash"

tools=()
for tool in readelf eu-readelf eu-elflint; do
	if command -v $tool >/dev/null; then tools+=("$tool"); else echo "left out: $tool"; fi
done
[ ${#tools[@]} != 0 ] || skip "needs readelf or elfutils"
dump_a_guest --mem 512M

for tool in "${tools[@]}"; do
	case $tool in
	*readelf)
		LC_ALL=C "$tool" -h -l -n vm.elf >"$tool.out" 2>"$tool.err" || fail "$tool: $(cat "$tool.err")"
		[ ! -s "$tool.err" ] || fail "$tool: $(cat "$tool.err")"
		grep -qi 'size of this header: *64 (bytes)\|ehdr size: *64' "$tool.out" ||
			fail "$tool: e_ehsize is not 64"
		[ "$(grep -c 'PRSTATUS' "$tool.out")" = 2 ] || fail "$tool does not show 2 NT_PRSTATUS"
		grep -q VMCOREINFO "$tool.out" || fail "$tool does not show VMCOREINFO"
		;;
	eu-elflint)
		# QEMU's and the kernel's own notes have type 0, which no tool knows; the last
		# bytes of e_ident, which readers ignore, say that there is a checksum
		LC_ALL=C eu-elflint vm.elf >"$tool.out" 2>&1 || true
		grep -v 'unknown core file note type\|^e_ident\[1[2-5]\] is not zero' "$tool.out" \
			>"$tool.rest" || true
		[ ! -s "$tool.rest" ] || fail "eu-elflint: $(cat "$tool.rest")"
		;;
	esac
	echo "$tool: $(wc -l <"$tool.out") lines, nothing against it"
done
