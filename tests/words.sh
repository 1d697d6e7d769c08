#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/words.sh - what users read has none of the words that HACKING.md, "Words", avoids
#
# Looked at are the manual pages, README.md and its like, the public header, and the messages
# of the program and the library.  A line in "exceptions" says where a word is right, and why.
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

# a regular expression of whole words = what to write instead
words='
told = reported, warned, passed
tells? (of|which|whether|what|how|where|why|that|the) = says, reports, shows
(un)?pack(ed|s)? = compress, decompress
folders? = directory
mend(ed|s)? = fix, repair
who(m)?ever = name it
as they are = uncompressed, unchanged
(stands?|stood) still = is paused
goes on|went on|let go|lets? .* go on = is resumed, keeps running
(guest|that) runs on = keeps running
is left from = remains from
behind the end = at the end, appended
so (many|much) (bytes|pages|files|memory|threads) = this many
for want of|of no moment|quarrels?|is dear = plain words
(opening|making|creating|reading|writing|closing|removing) (it|its) = cannot open, cannot create
makes? no sense = invalid
cancell(ed|ing) = canceled
honou?red = respected
'

# "FILE: REGULAR-EXPRESSION: reason" where such a word is right
exceptions='
lib/live/guest.c: cancelled: the name of a state of QEMU
lib/live/snapshot_migration.c: cancelled: the name of a state of QEMU
'

texts=(README.md SECURITY.md PERFORMANCE.md bench/README.md man/*.[1-9] include/guestdump.h examples/*.c)
[ ! -e NEWS.md ] || texts+=(NEWS.md)

# strings FILE...: "FILE:LINE:" and the string literals of C
strings() {
	perl -ne 'print "$ARGV:$.:$1\n" while /"((?:[^"\\]|\\.)*)"/g; close ARGV if eof' "$@"
}

# look REGULAR-EXPRESSION: lines "FILE:LINE:TEXT" that have it and are no exception
look() {
	{ grep -E -- "^[^:]*:[0-9]+:.*\b($1)\b" "$tmp/lines" || true; } | while IFS= read -r line; do
		file=${line%%:*}
		grep -qxE -- "$file: ($1): .*" <<<"$exceptions" || printf '%s\n' "$line"
	done
}

tmpdir
{
	grep -n '' "${texts[@]}"
	find lib tool -name '*.c' -print0 | sort -z | xargs -0 bash -c "$(declare -f strings); strings \"\$@\"" -
} | sed -E 's/\\[ef][A-Z]?//g' >"$tmp/lines"
[ "$(wc -l <"$tmp/lines")" -gt 3000 ] || fail "the texts were not found"

bad=0
while IFS= read -r line; do
	[ -n "$line" ] || continue
	found=$(look "${line%% = *}")
	[ -z "$found" ] || {
		printf 'write "%s":\n%s\n' "${line##* = }" "$found"
		bad=1
	}
done <<<"$words"
[ $bad = 0 ] || fail "words to avoid"
