#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/checksum.sh - one bit of a dump flips, anywhere: verify finds it
# test: checksum 300

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3
tmpdir
cd "$tmp"

# zeros, text and noise, in two ranges
python3 - <<'END'
import random
random.seed(1)
with open("raw", "wb") as f:
    for i in range(600):
        f.write([bytes(4096), b"all work and no play " * 195 + b"x", random.randbytes(4096)][i % 3])
END
convert() { "$GUESTDUMP" convert -q --input-format raw --range 0:1M --range 4M:1376K@1M raw "$@"; }
verify() { "$GUESTDUMP" verify -q "$@" >out 2>&1; }

# flips FILE [INPUT...]: in FILE; the inputs are what is verified (default: FILE)
flips() {
	local file=$1
	[ $# = 1 ] || shift
	python3 - "$GUESTDUMP" "$file" "$@" <<'END'
import os, random, subprocess, sys
guestdump, name, *inputs = sys.argv[1:]
size = os.path.getsize(name)
random.seed(name)
# the edges, and places all over
places = {0, 8, 4096, size - 1, size - 8, size - 30, size - 64, size - 65, size - 200}
places |= {random.randrange(size) for i in range(60)}
missed = []
with open(name, "r+b", buffering=0) as f:
    # what nobody looks at: zeros behind the header of the flattened form
    if f.read(12) == b"makedumpfile":
        places = {p for p in places if not 32 <= p < 4096}
    for place in sorted(places):
        f.seek(place)
        old = f.read(1)
        f.seek(place)
        f.write(bytes([old[0] ^ 1 << random.randrange(8)]))
        status = subprocess.run([guestdump, "verify", "-q", *inputs], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL).returncode
        if status not in (1, 2, 3):
            missed.append((place, status))
        f.seek(place)
        f.write(old)
print(f"{name}: {len(places)} flips, {len(missed)} missed {missed[:5]}")
sys.exit(bool(missed))
END
	verify "$@" || fail "$*: not good after all: $(cat out)"
}

for codec in zlib lzo snappy zstd none; do
	"$GUESTDUMP" list | grep -q "^  $codec .*not in this build" && continue
	convert -C $codec kdump-$codec
	verify kdump-$codec || fail "$(cat out)"
	grep -q 'checksum valid' out || fail "$(cat out)"
done
convert -E elf
convert -F flat
convert --split 2 part
flips kdump-zlib
flips kdump-none
flips elf
flips flat
flips part-2 part-1 part-2

# without: as good for everybody else, and verify says so
convert -C none --no-checksum bare
verify bare
grep -q 'no checksum' out || fail "$(cat out)"
cmp -n "$(stat -c %s bare)" bare kdump-none
truncate -s "$(stat -c %s bare)" kdump-none
cmp bare kdump-none

# other formats have no place for it
convert -f lime lime
verify lime
grep -q 'no checksum' out || fail "$(cat out)"
