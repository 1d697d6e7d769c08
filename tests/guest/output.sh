#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/output.sh - what is written, under which name and mode, and at what cost
# of memory; of a guest with 5 GiB that stands still
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

requires /usr/bin/python3
start_guest vm --mem 5G
cd "$tmp"
"$guest" qmp "$guest_dir" stop >stop.out

# without the time, the same bytes each time
dump() { "$GUESTDUMP" dump -q --no-metadata "$@"; }
same() { cmp "$1" "$2" || fail "$3"; }

# Memory: 2 bits a page, 4 MiB a thread and 16 MiB
pages=$((5 * 1024 * 256))
for format in kdump elf; do
	for threads in 1 8; do
		/usr/bin/python3 -c '
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)' "$GUESTDUMP" dump -q --no-metadata -j $threads -f $format "$guest_source" "$format.$threads" >rss
		limit=$((pages * 2 / 8 / 1024 + threads * 4096 + 16384))
		echo "$format, $threads threads: $(cat rss) KiB, limit $limit"
		[ "$(cat rss)" -le $limit ] || fail "$format, $threads threads: too much memory"
	done
done
rm elf.8

# The same bytes with one thread or eight, and each time
same kdump.1 kdump.8 "1 and 8 threads write different files"
dump "$guest_source" kdump.again
same kdump.1 kdump.again "two dumps of a guest that stands still differ"
rm kdump.8 kdump.again
part=(-E --begin 1M --length 200M)
dump -j 1 "${part[@]}" "$guest_source" part.elf
dump -j 8 "${part[@]}" "$guest_source" part.8
same part.elf part.8 "elf: 1 and 8 threads write different files"
rm part.8
dump -j 1 -C none "$guest_source" none.1
dump -j 8 -C none "$guest_source" none.8
same none.1 none.8 "without codec: 1 and 8 threads write different files"
rm none.1 none.8
dump -j 1 -d 1 "$guest_source" level.1
dump -j 8 -d 1 "$guest_source" level.8
same level.1 level.8 "level 1: 1 and 8 threads write different files"
rm level.1 level.8

# Pipes: a kdump is flattened, an ELF core is as in a file
dump -j 1 "$guest_source" - | cat >flat.1
dump -j 8 -F "$guest_source" flat.8
same flat.1 flat.8 "a flattened file differs from what goes through a pipe"
[ "$(head -c 12 flat.1)" = makedumpfile ] || fail "what goes through a pipe is not flattened"
PYTHONPATH=$root/tests/tools PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -c '
import shutil, sys
import dumpcmp
with dumpcmp.unflatten(open(sys.argv[1], "rb")) as plain, open(sys.argv[2], "wb") as output:
    plain.seek(0)
    shutil.copyfileobj(plain, output, 1 << 20)' flat.1 plain
same plain kdump.1 "the flattened form, put in order, is not the plain one"
if command -v makedumpfile >/dev/null; then
	rm plain
	makedumpfile -R plain <flat.1 >makedumpfile.out 2>&1 || fail "$(cat makedumpfile.out)"
	same plain kdump.1 "makedumpfile -R makes another file of it"
fi
rm plain flat.1 flat.8
dump "${part[@]}" "$guest_source" - | cmp - part.elf || fail "an ELF core differs through a pipe"
mkfifo fifo
cmp fifo part.elf &
dump "${part[@]}" "$guest_source" fifo
wait $! || fail "an ELF core differs through a FIFO"

# Standard output that is a file
dump "$guest_source" - >redirected
same redirected kdump.1 "standard output into a file is another one"
echo text >redirected
dump "$guest_source" - >>redirected
[ "$(head -n 1 redirected)" = text ] || fail ">> does not append"
[ "$(head -c 17 redirected | tail -c 12)" = makedumpfile ] || fail ">> is not flattened"
rm redirected

# Mode and names
(
	umask 000
	dump "$guest_source" mode
	[ "$(stat -c %a mode)" = 600 ] || fail "mode $(stat -c %a mode), not 600"
	"$GUESTDUMP" dump -q -j 1 -C zlib:9 "$guest_source" slow &
	until [ -e slow.incomplete ] || [ -e slow ]; do sleep 0.01; done
	if [ ! -e slow ]; then
		[ "$(stat -c %a slow.incomplete)" = 600 ] || fail "slow.incomplete is not of mode 600"
		echo "slow.incomplete: seen"
	fi
	wait $!
)
[ -e slow ] || fail "there is no file slow"
[ ! -e slow.incomplete ] || fail "slow.incomplete has stayed"

# --force
echo text >slow
fails_with 1 dump "$guest_source" slow 2>exists.err
[ "$(cat slow)" = text ] || fail "a file was replaced without --force"
chmod 644 slow
echo text >slow.incomplete
fails_with 1 dump "$guest_source" other/../slow 2>exists.err
dump --force "$guest_source" slow
same slow kdump.1 "--force writes another file"
[ "$(stat -c %a slow)" = 600 ] || fail "--force: mode $(stat -c %a slow), not 600"
[ ! -e slow.incomplete ] || fail "--force: slow.incomplete has stayed"
ln -s target link
echo text >target
dump --force "$guest_source" link
[ "$(cat target)" = text ] || fail "--force writes through a symbolic link"
[ ! -L link ] || fail "--force leaves the symbolic link"

"$GUESTDUMP" verify -q kdump.1 part.elf slow >verify.out || fail "$(cat verify.out)"
