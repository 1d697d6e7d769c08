#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/guest/protected.sh [BUILD-DIRECTORY] - a real s390x Linux, as if it had been protected
# test: protected-guest 300 @BUILD@
#
# QEMU's plain dump is encrypted by mkpv, and what guestdump decrypts is what was there.

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

mkpv=$(realpath -m "${1:-$root/${BUILD:-build}}/tests/pv/mkpv")
[ -x "$mkpv" ] || skip "this build has no OpenSSL"
start_guest vm --arch s390x --mem 256M --cpus 3
cd "$tmp"
head -c 32 /dev/urandom >key

"$guest" qmp "$guest_dir" stop >answer
"$guest" qmp "$guest_dir" "{\"execute\":\"dump-guest-memory\",\"arguments\":{\"paging\":false,\"protocol\":\"file:$tmp/plain\"}}" >answer ||
	fail "QEMU does not dump: $(cat answer)"
"$mkpv" seal plain key sealed

# same FILE: it is what QEMU had, but for the order of the notes, and has VMCOREINFO
same() {
	"$GUESTDUMP" convert -q --force -f raw "$1" raw
	cmp raw plain.raw || fail "$1: other memory"
	"$GUESTDUMP" info -r "$1" | sed -n '/^machine/p;/^kernel/p;/^vmcoreinfo/p;/^CPU/,$p' >new.info
	diff plain.info new.info || fail "$1: other registers"
	"$GUESTDUMP" dmesg "$1" | cmp - plain.dmesg || fail "$1: other log"
}

"$GUESTDUMP" convert -q -f raw plain plain.raw
"$GUESTDUMP" info -r plain | sed -n '/^machine/p;/^kernel/p;/^vmcoreinfo/p;/^CPU/,$p' >plain.info
grep -q '^kernel *Linux' plain.info || fail "no kernel in the plain dump: $(cat plain.info)"
"$GUESTDUMP" dmesg plain >plain.dmesg
"$GUESTDUMP" dmesg -k key sealed | cmp - plain.dmesg || fail "another log"
"$GUESTDUMP" verify -q -k key --strict sealed >answer

"$GUESTDUMP" convert -q -k key -f elf sealed new.elf
same new.elf
for codec in zlib zstd; do
	"$GUESTDUMP" list | grep -q "^  $codec .*[0-9]" || continue
	"$GUESTDUMP" convert -q --force -k key -C $codec sealed new.kdump
	same new.kdump
done

# what a level leaves out is the same, decided while it is decrypted
"$GUESTDUMP" convert -q --force -d 31 plain plain.kdump
"$GUESTDUMP" convert -q --force -d 31 -k key sealed new.kdump
"$GUESTDUMP" convert -q --force -f raw plain.kdump plain.raw
"$GUESTDUMP" convert -q --force -f raw new.kdump raw
cmp raw plain.raw || fail "level 31: other pages"
[ "$("$GUESTDUMP" info plain.kdump | grep -c "omitted (dump level 31)")" = 1 ]
[ "$("$GUESTDUMP" info plain.kdump | grep ^memory)" = "$("$GUESTDUMP" info new.kdump | grep ^memory)" ] ||
	fail "level 31: another number of pages"
