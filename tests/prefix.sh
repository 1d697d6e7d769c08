#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/prefix.sh - a build without tests, installed under a prefix of its own, can be used:
# the program without a library path, the library statically
# test: prefix 900

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires meson ninja pkg-config cc
unset LD_LIBRARY_PATH
tmpdir
prefix=$tmp/a/prefix

# Not optimized: how it is linked is what counts here. A static libcurl needs libraries that its
# package does not bring.
build() {
	meson setup "$tmp/build" "$root" --prefix="$prefix" -Dtests=false -Ddefault_library=both \
		-Dcurl=disabled --optimization=0 && meson install -C "$tmp/build"
}

test_it_builds_without_tests_and_their_needs() {
	build >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "the build"; }
	! grep -E '^C\+\+ compiler' "$tmp/log" || fail "only tests need that"
	[ ! -e "$tmp/build/tests" ] || fail "tests were built"
}

test_the_program_finds_its_library() {
	"$prefix/bin/guestdump" --version >"$tmp/version"
	[ "$(cat "$tmp/version")" = "guestdump $(pkg-config --modversion guestdump)" ] ||
		fail "version: $(cat "$tmp/version")"
	mv "$prefix" "$tmp/moved"
	"$tmp/moved/bin/guestdump" --version | diff - "$tmp/version" || fail "after a move"
	mv "$tmp/moved" "$prefix"
}

# A library that has no static twin (Debian's libisal) is linked as it is
test_a_program_links_the_static_library() {
	# shellcheck disable=SC2046 # flags
	cc "$root/examples/dump.c" -o "$tmp/dump" $(pkg-config --static --cflags --libs guestdump |
		sed 's/-lguestdump/-l:libguestdump.a/')
	fails_with 1 "$tmp/dump" "$tmp/nothing" "$tmp/out" >"$tmp/said" 2>&1
	grep -q "No such file" "$tmp/said" || fail "the example said: $(cat "$tmp/said")"
}

test_it_builds_without_tests_and_their_needs
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name guestdump.pc)")
export PKG_CONFIG_PATH
test_the_program_finds_its_library
test_a_program_links_the_static_library
