#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/mount.sh - a dump as files: what is in them, damage, many readers, and how it ends
# test: mount 600 @BUILD@

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3 fusermount3
mkpv=$(realpath -m "${1:-$root/build}/tests/pv/mkpv")
[ -w /dev/fuse ] || skip "needs /dev/fuse"
tmpdir
cd "$tmp"
mkdir m

# zeros, text and noise, in two ranges
python3 - <<'END'
import random
random.seed(1)
with open("raw", "wb") as f:
    for i in range(6000):
        f.write([bytes(4096), b"all work and no play " * 195 + b"x", random.randbytes(4096)][i % 3])
END
"$GUESTDUMP" convert -q --input-format raw --range 0:4M --range 16M:19M@4M raw vm.kdump
"$GUESTDUMP" convert -q -E --no-checksum vm.kdump vm.elf

"$GUESTDUMP" mount vm.kdump m 2>err || {
	grep -q 'without libfuse3' err && skip "this build is without libfuse3"
	grep -q 'fuse: mount failed' err && skip "this system does not let us mount: $(cat err)"
	fail "mount: $(cat err)"
}
# whatever happens; it was the last one to be mounted
unmount() { fusermount3 -u -z -q -- "$tmp/m" 2>/dev/null || true; }
cleanup_fn unmount

ends() {
	for _ in $(seq 600); do
		[ -e "/proc/$1" ] || return 0
		sleep 0.1
	done
	fail "process $1 does not end: $2"
}
is_mounted() { grep -q " $tmp/m fuse.guestdump " /proc/mounts; }
goes() {
	for _ in $(seq 600); do
		is_mounted || return 0
		sleep 0.1
	done
	fail "it remains mounted: $1"
}
comes() {
	for _ in $(seq 600); do
		[ ! -e m/vmcore ] || return 0
		sleep 0.1
	done
	fail "nothing is mounted"
}

# --- what is there -----------------------------------------------------------

(cd m && find . | LC_ALL=C sort) >names
cat >wanted <<'END'
.
./dmesg.txt
./info.json
./notes
./raw
./raw/0000000000000000-00000000003fffff
./raw/0000000001000000-00000000022fffff
./report.txt
./tasks.json
./vmcore
END
grep -v './notes/' names >plain
cmp plain wanted || fail "the files are $(cat names)"
cmp m/vmcore vm.elf || fail "vmcore is not what convert writes"
[ "$(stat -c '%s %a' m/vmcore)" = "$(stat -c %s vm.elf) 400" ] || fail "stat: $(stat m/vmcore)"
cmp -n 4M raw m/raw/0000000000000000-00000000003fffff || fail "the first range differs"
cmp -n 19M -i 4M:0 raw m/raw/0000000001000000-00000000022fffff || fail "the second range differs"
valid_json m/info.json
guestdump_json info --json vm.kdump | sed 's/"input":"[^"]*"//' >info
sed 's/"input":"[^"]*"//' m/info.json | cmp - info || fail "info.json: $(cat m/info.json)"
grep -q 'What could not be read' m/report.txt || fail "report.txt: $(cat m/report.txt)"
# no kernel is in this memory
! cat m/dmesg.txt >out 2>err || fail "there is a log: $(cat out)"
grep -q 'Input/output error' err || fail "dmesg.txt: $(cat err)"
! (: >m/vmcore) 2>/dev/null || fail "vmcore can be written"
! touch m/new 2>/dev/null || fail "files can be made"
"$GUESTDUMP" verify -q m/vmcore || fail "verify does not like vmcore"

# --- many readers -------------------------------------------------------------

python3 - <<'END' || fail "readers at once get other bytes"
import mmap, os, random, threading
want = open("vm.elf", "rb").read()
bad = []

def ordered():
    with open("m/vmcore", "rb", buffering=0) as f:
        got = b"".join(iter(lambda: f.read(70000), b""))
    if got != want:
        bad.append("ordered")

def anywhere(seed):
    rand = random.Random(seed)
    fd = os.open("m/vmcore", os.O_RDONLY)
    for _ in range(2000):
        off, size = rand.randrange(len(want) + 5000), rand.choice((1, 4096, 5000, 100000))
        if os.pread(fd, size, off) != want[off:off + size]:
            bad.append("anywhere %d+%d" % (off, size))
    os.close(fd)

def backwards():
    fd = os.open("m/vmcore", os.O_RDONLY)
    for off in range(len(want) // 4096 * 4096, -1, -4096):
        if os.pread(fd, 4096, off) != want[off:off + 4096]:
            bad.append("backwards %d" % off)
    os.close(fd)

def mapped():
    with open("m/vmcore", "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
        if m[:] != want:
            bad.append("mapped")

threads = [threading.Thread(target=t, args=a) for t, a in
           [(ordered, ()), (ordered, ()), (backwards, ()), (mapped, ())] + [(anywhere, (i,)) for i in range(4)]]
for t in threads:
    t.start()
for t in threads:
    t.join()
if bad:
    raise SystemExit("%d: %s" % (len(bad), bad[:10]))
END

# --- how it ends ---------------------------------------------------------------

exec 5<m/vmcore
fails_with 1 "$GUESTDUMP" umount m 2>err
grep -q 'm: cannot unmount' err || [ "$(id -u)" != 0 ] || fail "in use: $(cat err)"
exec 5<&-
"$GUESTDUMP" umount m/ || fail "umount"
goes "umount"
[ -z "$(ls m)" ] || fail "files remain: $(ls m)"
fails_with 2 "$GUESTDUMP" umount m 2>err
grep -q 'guestdump has mounted nothing there' err || fail "umount again: $(cat err)"
fails_with 2 "$GUESTDUMP" umount / 2>err
fails_with 1 "$GUESTDUMP" umount missing/m 2>err

# what cannot be opened is not mounted
fails_with 1 "$GUESTDUMP" mount missing m 2>err
grep -q 'missing: ' err || fail "a missing dump: $(cat err)"
! is_mounted || fail "a missing dump is mounted"
fails_with 2 "$GUESTDUMP" mount vm.kdump raw 2>err
grep -q 'raw: it is not a directory' err || fail "a file: $(cat err)"
fails_with 1 "$GUESTDUMP" mount vm.kdump nowhere 2>err
fails_with 2 "$GUESTDUMP" mount -o rw vm.kdump m 2>err

for signal in TERM INT; do
	"$GUESTDUMP" mount --foreground vm.kdump m 2>err &
	keeper=$!
	comes
	# a shell in the background ignores SIGINT
	[ $signal = INT ] || kill -$signal $keeper
	[ $signal = TERM ] || kill -TERM "$(cat /proc/$keeper/task/$keeper/children)"
	wait $keeper || fail "$signal: status $?: $(cat err)"
	! is_mounted || fail "it remains mounted after $signal"
done

# the process that reads the dump is killed
"$GUESTDUMP" mount --foreground vm.kdump m 2>err &
keeper=$!
comes
kill -KILL "$(cat /proc/$keeper/task/$keeper/children)"
fails_with 1 wait $keeper
! is_mounted || fail "it remains mounted when its server was killed"

# both are: it can be unmounted
"$GUESTDUMP" mount --foreground vm.kdump m 2>err &
keeper=$!
comes
server=$(cat /proc/$keeper/task/$keeper/children)
kill -STOP "$server"
kill -KILL $keeper "$server"
wait $keeper 2>/dev/null || true
ends "$server" "it was killed"
"$GUESTDUMP" umount "$tmp/m" || fail "umount of what nobody serves"
! is_mounted || fail "it remains mounted when all was killed"

# --- damage ---------------------------------------------------------------------

# a page in the middle, whose data does not decompress any more
python3 - <<'END'
data = bytearray(open("vm.kdump", "rb").read())
at = len(data) // 2
data[at:at + 64] = bytes(b ^ 0x5a for b in data[at:at + 64])
open("bad.kdump", "wb").write(data)
END
"$GUESTDUMP" mount --foreground bad.kdump m 2>log &
keeper=$!
comes
! cat m/vmcore >out 2>err || fail "a damaged dump is read without an error"
grep -q 'Input/output error' err || fail "damage: $(cat err)"
grep -q '^guestdump: vmcore: cannot read: bad.kdump: ' log || fail "damage is not reported: $(cat log)"
python3 - <<'END' || fail "around the damage"
import os
want = open("vm.elf", "rb").read()
fd = os.open("m/vmcore", os.O_RDONLY)
bad = []
for off in range(0, len(want), 4096):
    try:
        if os.pread(fd, 4096, off)[64:] != want[off:off + 4096][64:]:
            raise SystemExit("other bytes at %d" % off)
    except OSError:
        bad.append(off)
# the checksum names a block of the file, and with it some pages
if not 0 < len(bad) < 200:
    raise SystemExit("%d pages cannot be read" % len(bad))
print("%d pages cannot be read" % len(bad))
END
"$GUESTDUMP" umount m
wait $keeper || fail "status $?: $(cat log)"

# --- other inputs ----------------------------------------------------------------

for format in elf lime raw; do
	"$GUESTDUMP" convert -q -f $format vm.kdump vm.$format.in
	"$GUESTDUMP" convert -q -E --no-checksum vm.$format.in want.elf
	"$GUESTDUMP" mount vm.$format.in m
	cmp m/vmcore want.elf || fail "vmcore of $format"
	"$GUESTDUMP" umount m
	goes "umount"
	rm vm.$format.in* want.elf
done

# an encrypted dump: nothing without the key, and with it what convert writes
if [ -x "$mkpv" ]; then
	printf 'the key of the owner is 32 bytes' >key
	"$mkpv" plain plain 1 2 0:0x400000
	"$mkpv" seal plain key sealed
	fails_with 5 "$GUESTDUMP" mount sealed m 2>err
	! is_mounted || fail "it is mounted without the key"
	"$GUESTDUMP" convert -q -E --no-checksum -k key sealed want.elf
	"$GUESTDUMP" mount -k key sealed m
	cmp m/vmcore want.elf || fail "vmcore of an encrypted dump"
	"$GUESTDUMP" umount m
	goes "umount"
fi
