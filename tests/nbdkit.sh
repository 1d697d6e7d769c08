#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/nbdkit.sh - nbdkit serves a dump as an ELF core
# test: nbdkit 300 @BUILD@

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3 nbdkit nbdcopy
plugin=${1:-$root/build}/nbdkit/nbdkit-guestdump-plugin.so
[ -e "$plugin" ] || skip "this build is without the plugin"
tmpdir
cd "$tmp"

python3 - <<'END'
import random
random.seed(1)
with open("raw", "wb") as f:
    for i in range(3000):
        f.write([bytes(4096), b"all work and no play " * 195 + b"x", random.randbytes(4096)][i % 3])
END
"$GUESTDUMP" convert -q --input-format raw --range 0:4M --range 16M:7M@4M raw vm.kdump
"$GUESTDUMP" convert -q -E --no-checksum vm.kdump vm.elf

# copy PARAMETER...: to the file "copy"
copy() {
	rm -f copy socket
	nbdkit -U "$tmp/socket" "$plugin" "$@" --run 'nbdcopy "$uri" copy'
}

copy file=vm.kdump
# nbdkit serves whole bytes, and nbdcopy copies them
cmp vm.elf copy || fail "what is served is not what convert writes"
copy vm.kdump range=0x1001000:64K
cmp -n 65536 -i 4198400:0 raw copy || fail "the range differs"

for row in "file=missing: missing" "vm.kdump range=x: is not ADDR:SIZE" "vm.kdump other=1: unknown parameter" \
	"raw: raw"; do
	# shellcheck disable=SC2086 # several
	! nbdkit -U "$tmp/socket" "$plugin" ${row%%: *} --run true 2>err || fail "accepted: $row"
	grep -q -e "${row#*: }" err || fail "$row: $(cat err)"
done

# damage: the client gets an error
python3 - <<'END'
data = bytearray(open("vm.kdump", "rb").read())
at = len(data) // 2
data[at:at + 64] = bytes(b ^ 0x5a for b in data[at:at + 64])
open("bad.kdump", "wb").write(data)
END
! copy bad.kdump 2>err || fail "damage is copied"
grep -qi 'input/output error' err || fail "damage: $(cat err)"
