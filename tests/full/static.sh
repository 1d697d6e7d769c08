#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/static.sh ARCH - the program of scripts/dist-static runs where there is nothing else
#
# test: static-x86_64 900 x86_64
# test: static-aarch64 900 aarch64
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires_full
requires chroot git "$1-linux-gnu-gcc"
[ "$(id -u)" = 0 ] || skip "needs root for a chroot"
arch=$1 emulator=()
tmpdir

"$root/scripts/dist-static" "$arch" >"$tmp/log" 2>&1 ||
	case $? in
	3) skip "$(tail -n1 "$tmp/log")" ;;
	*) tail -n 30 "$tmp/log"; fail "dist-static" ;;
	esac
tarball=$(tail -n1 "$tmp/log")

# 64 KiB of memory at 1 MiB, as LiME writes it
mkdir "$tmp/empty"
tar xJf "$tarball" -C "$tmp/empty" --strip-components=1
{
	printf 'EMiL\1\0\0\0\0\0\20\0\0\0\0\0\377\377\20\0\0\0\0\0\0\0\0\0\0\0\0\0'
	head -c 65536 /dev/zero | tr '\0' g
} >"$tmp/empty/memory.lime"
if [ "$arch" != "$(uname -m)" ]; then
	requires "qemu-$arch-static"
	cp "$(command -v "qemu-$arch-static")" "$tmp/empty/emulator"
	emulator=(/emulator)
fi

guestdump() { chroot "$tmp/empty" "${emulator[@]}" /bin/guestdump "$@" </dev/null; }

guestdump --version
for codec in zlib lzo snappy zstd; do
	guestdump convert -q -C $codec /memory.lime /$codec.kdump || fail "convert to $codec"
	guestdump verify /$codec.kdump || fail "verify $codec"
	guestdump convert -q -f lime /$codec.kdump /$codec.lime || fail "convert from $codec"
	cmp "$tmp/empty/memory.lime" "$tmp/empty/$codec.lime"
done
[ -e "$tmp/empty/share/man/man1/guestdump.1" ] || fail "no manual page"
grep -q 'GPL' "$tmp/empty/share/doc/guestdump/licenses/README" || fail "no license"
