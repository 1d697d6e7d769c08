#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/machines.sh [ARCH...] - guest/equal.sh for guests of all architectures that
# scripts/guest can boot here
# test: machines 1800
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires_full

if [ $# = 0 ]; then
	mapfile -t arches < <("$guest" arches)
	# what needs a package has that behind its name
	for arch in "${arches[@]}"; do
		case $arch in
		x86_64) ;;
		*' '*) echo "left out: $arch" ;;
		*) set -- "$@" "$arch" ;;
		esac
	done
fi

equal=0 failed=
for arch; do
	size=512M status=0
	case $arch in
	ppc64le-pnv) size=2G ;;		# it takes no less
	i386-on-64) size=5G ;;		# what i386 cannot have
	esac
	echo "$arch:"
	"$root/tests/guest/equal.sh" plain $size --arch "$arch" || status=$?
	case $status in
	0) equal=$((equal + 1)) ;;
	77) echo "left out: $arch" ;;
	*) failed="$failed $arch" ;;
	esac
done
[ -z "$failed" ] || fail "not equal:$failed"
[ $equal != 0 ] || skip "no other machine boots here"
echo "equal: $equal architectures"
