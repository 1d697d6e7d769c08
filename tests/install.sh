#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/install.sh [BUILD-DIRECTORY] - what "meson install" gives can be used
# test: install 120 @BUILD@

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires meson pkg-config python3 cc

build=${1:-$root/${BUILD:-build}}
tmpdir
dest=$tmp/dest

# 64 KiB of memory at 1 MiB, as the smallest ELF core there is
make_core() {
	python3 - "$1" <<-'PYTHON'
		import struct, sys
		with open(sys.argv[1], "wb") as core:
		    core.write(b"\x7fELF\2\1\1".ljust(16, b"\0"))
		    core.write(struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0))
		    core.write(struct.pack("<IIQQQQQQ", 1, 7, 120, 0, 1 << 20, 65536, 65536, 0))
		    core.write(bytes(4096) + b"guestdump".ljust(61440, b"."))
	PYTHON
}

installed() { find "$dest" -path "*/$1"; }

test_everything_is_installed() {
	local name
	DESTDIR=$dest meson install -C "$build" --no-rebuild >"$tmp/log" || { cat "$tmp/log"; fail "meson install"; }
	(cd "$root" && echo bin/guestdump include/guestdump.h pkgconfig/guestdump.pc \
		lib{,/*}/libguestdump.so share/bash-completion/completions/guestdump \
		share/zsh/site-functions/_guestdump share/fish/vendor_completions.d/guestdump.fish \
		share/doc/guestdump/examples/{dump,tinyvmm,vmm}.c share/guestdump/guestdump-1.schema.json \
		lib/systemd/system/guestdump-watch.service
	for page in man/*.[1-9]; do echo "share/man/man${page##*.}/${page#man/}"; done) |
		tr ' ' '\n' | sed 's,^lib.*\(/libguestdump\),lib*\1,' | sort -u >"$tmp/names"
	while read -r name; do
		[ -n "$(installed "$name")" ] || fail "$name was not installed"
	done <"$tmp/names"
	# and nothing else: the library has two more names, and where nbdkit is, it has a plugin
	[ "$(find "$dest" ! -type d ! -name nbdkit-guestdump-plugin.so | wc -l)" = $(($(wc -l <"$tmp/names") + 2)) ] ||
		fail "these were installed: $(find "$dest" ! -type d)"
}

test_the_program_runs() {
	version=$(env -u LD_LIBRARY_PATH "$program" --version)
	[ "$version" = "guestdump $(pkg-config --modversion guestdump)" ] || fail "version: $version"
	[ -e "$libdir/libguestdump.so.0" ] || fail "no libguestdump.so.0"
}

test_the_example_builds_and_runs() {
	# shellcheck disable=SC2046 # flags
	cc -Wall -Wextra -Werror "$(installed share/doc/guestdump/examples/dump.c)" \
		-o "$tmp/dump" $(pkg-config --cflags --libs guestdump)
	make_core "$tmp/core"
	"$tmp/dump" "$tmp/core" "$tmp/out" >"$tmp/said" 2>&1
	grep -q "out: 16 pages in" "$tmp/said" || fail "the example said: $(cat "$tmp/said")"
	"$program" verify "$tmp/out" | grep -q "OK: 16 pages (1 zero)" ||
		fail "the example's dump is not good"
	fails_with 1 "$tmp/dump" "$tmp/core" "$tmp/out" >"$tmp/said" 2>&1
	grep -q "already exists" "$tmp/said" || fail "the example said: $(cat "$tmp/said")"
	fails_with 1 "$tmp/dump" "$tmp/nothing" "$tmp/out2" 2>/dev/null
	[ ! -e "$tmp/out2" ] || fail "a dump of nothing"
}

# A VMM on KVM dumps its own guest, with what is installed and nothing else.
test_the_vmm_builds_and_runs() {
	[ "$(uname -m)" = x86_64 ] || return 0
	# shellcheck disable=SC2046 # flags
	cc -Wall -Wextra -Werror "$(installed share/doc/guestdump/examples/tinyvmm.c)" \
		-o "$tmp/tinyvmm" -pthread $(pkg-config --cflags --libs guestdump)
	GUESTDUMP=$program "$root/tests/vmm/tinyvmm.sh" "$tmp/tinyvmm" || [ $? = 77 ] ||
		fail "the VMM of examples/"
}

test_the_header_is_cplusplus_too() {
	local cxx
	for cxx in c++ g++ clang++; do
		command -v $cxx >/dev/null || continue
		# shellcheck disable=SC2046 # flags
		echo '#include <guestdump.h>' |
			$cxx -std=c++11 -Wall -Wextra -Werror -fsyntax-only $(pkg-config --cflags guestdump) -x c++ -
		return
	done
	echo "no C++ compiler here: the header was not tried with it"
}

test_everything_is_installed
program=$(installed bin/guestdump)
libdir=$(dirname "$(installed 'libguestdump.so')")
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR=$dest LD_LIBRARY_PATH=$libdir
test_the_program_runs
test_the_example_builds_and_runs
test_the_vmm_builds_and_runs
test_the_header_is_cplusplus_too
