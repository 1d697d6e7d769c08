#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/confine.sh - what the program can do no more when it reads what may be hostile
#
# A preloaded library plays the hostile part: at the first byte of the dump it tries to
# use the program's rights.
# test: confine 120

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires cc
tmpdir
cd "$tmp"

cc -shared -fPIC -O1 -D_GNU_SOURCE -o turncoat.so "$root/tests/tools/turncoat.c" -ldl
mkdir secrets ours
echo secret >secrets/secret
head -c 1M /dev/urandom >raw
"$GUESTDUMP" convert -q --input-format raw --range 0:1M raw ours/dump
export TURNCOAT=$tmp/secrets

# try COMMAND...: run it; "could" has what was possible besides
try() {
	echo removable >secrets/removable
	rm -f secrets/made
	LD_PRELOAD=$tmp/turncoat.so "$GUESTDUMP" "$@" >out 2>err || fail "$*: $(cat err)"
	grep -qx tried err || fail "$*: the hostile part did not run: $(cat err)"
	could=$(sed -n 's/^can //p' err | sort | xargs)
}

try verify --no-confine ours/dump
all='connect core gain list make read remove spy start write'
# a container may have taken some of it away before
[ "$could" = "$all" ] || skip "even without limits a program can only: $could"

"$GUESTDUMP" verify --verbose ours/dump 2>told >/dev/null
cat told
grep -q confined told || ! grep -qs __gcov_ "$GUESTDUMP" || skip "a build for coverage confines nothing"
expected=$all
if grep -q 'confined by Landlock' told; then
	expected=$(echo "$expected" | sed 's/list //; s/make //; s/read //; s/remove //; s/ write//; s/spy //')
fi
if grep -q 'confined by seccomp' told; then
	expected=$(echo "$expected" | sed 's/connect//; s/spy//; s/start//')
fi
expected=$(echo "$expected" | sed 's/core//; s/gain//' | xargs)
[ "$expected" != "$all" ] || skip "neither Landlock nor seccomp here"

for command in "verify -q" info "convert -q"; do
	rm -rf new
	mkdir new
	to=
	[ "${command% *}" != convert ] || to=new/out
	# shellcheck disable=SC2086 # some of them have options
	try $command ours/dump $to
	[ "$could" = "$expected" ] || fail "$command: could '$could', should '$expected'"
done
cmp ours/dump new/out

# --force, a pipe, standard input, parts: what everybody does still works
"$GUESTDUMP" convert -q --force ours/dump new/out
"$GUESTDUMP" convert -q -E - new/elf <ours/dump
# shellcheck disable=SC2002 # it must not be able to seek
cat ours/dump | "$GUESTDUMP" convert -q - - | "$GUESTDUMP" verify -q - >/dev/null
"$GUESTDUMP" convert -q --split 2 ours/dump new/part
"$GUESTDUMP" convert -q new/part-1 new/part-2 new/whole
cmp ours/dump new/whole
(cd new && "$GUESTDUMP" convert -q whole here && cmp whole here)
