#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/instructions.sh [--update] - no command takes 5 % more instructions per page than
# bench/instructions.txt says
#
# Times of a busy machine differ by more than most changes; instructions, counted by callgrind,
# do not.  Each command runs on N and on 2 * N pages, so that the difference is the pages'
# own.  The pages are always the same: zero, text, pointers and random bytes in turns.
# The counts are those of Debian 12's compiler and libraries on x86-64, so elsewhere the test
# skips.  --update writes the file, after a change that is worth it.
#
# test: instructions 1200
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ "${1:-}" = --update ] || requires_full
requires valgrind python3
[ "$(uname -m)" = x86_64 ] || skip "the table is for x86-64"
grep -qs '^VERSION_ID="12"' /etc/os-release || skip "the table is for Debian 12"
"$GUESTDUMP" list >/dev/null
tmpdir
table=$root/bench/instructions.txt
pages=2048

# make_pages NUM >FILE
make_pages() {
	python3 - "$1" <<-'EOF'
	import random, sys
	words = [b"page", b"cache", b"mutex", b"guest", b"dump", b"0x%08x", b"return", b"\n\t"]
	r = random.Random(1)
	def text():
	    return b" ".join(r.choice(words) for _ in range(1200))[:4096].ljust(4096)
	def pointers():
	    return b"".join((0xffff888000000000 + r.randrange(1 << 12) * 192 if r.randrange(3) else
	                     r.randrange(64)).to_bytes(8, "little") for _ in range(512))
	kinds = [lambda: bytes(4096), text, pointers, lambda: r.randbytes(4096)]
	for i in range(int(sys.argv[1])):
	    sys.stdout.buffer.write(kinds[i % 4]())
	EOF
}

# count ARGUMENT...: instructions of guestdump
count() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$GUESTDUMP" "$@" --threads 1 \
		>"$tmp/out" 2>"$tmp/err" || fail "$*: $(cat "$tmp/err")"
	sed -n 's/.*I *refs: *//p' "$tmp/err" | tr -d ,
}

# per_page NAME COMMAND...: one line of the table; {} is the input
per_page() {
	local name=$1 one two

	shift
	one=$(count "${@//\{\}/$tmp/one.$input}")
	rm -f "$tmp/result"
	two=$(count "${@//\{\}/$tmp/two.$input}")
	rm -f "$tmp/result"
	echo "$name $(((two - one) / pages))"
}

make_pages $pages >"$tmp/one.raw"
make_pages $((2 * pages)) >"$tmp/two.raw"
truncate -s $((4096 * pages)) "$tmp/one.zero"
truncate -s $((2 * 4096 * pages)) "$tmp/two.zero"
for n in one two; do
	"$GUESTDUMP" convert -q --input-format raw -E "$tmp/$n.raw" "$tmp/$n.elf"
	"$GUESTDUMP" convert -q --input-format raw -c "$tmp/$n.raw" "$tmp/$n.kdump"
done
{
	input=raw per_page raw-to-zlib convert -q --input-format raw -c {} "$tmp/result"
	input=zero per_page zero-to-zlib convert -q --input-format raw -c {} "$tmp/result"
	input=elf per_page elf-to-kdump convert -q -C none {} "$tmp/result"
	input=kdump per_page zlib-to-elf convert -q -E {} "$tmp/result"
	input=kdump per_page verify-zlib verify -q {}
} >"$tmp/found"
if [ "${1:-}" = --update ]; then
	{
		sed -n '/SPDX/p' "${BASH_SOURCE[0]}"
		echo "# Instructions per page; tests/full/instructions.sh compares and updates them."
		cat "$tmp/found"
	} >"$table"
	cat "$table"
	exit
fi
awk '/^#/ { next }
	NR == FNR { old[$1] = $2; next }
	!($1 in old) { print $1 ": not in the table"; bad = 1; next }
	{
		printf "%-14s %7d, in the table %7d\n", $1, $2, old[$1]
		if ($2 > old[$1] * 1.05 + 2) { print $1 ": more than 5 % more"; bad = 1 }
	}
	END { exit bad }' "$table" "$tmp/found" || fail "if the growth is worth it: tests/full/instructions.sh --update"
