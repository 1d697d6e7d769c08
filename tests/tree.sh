#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/tree.sh - files that have to agree with each other
# test: tree 60

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

# says FILE TEXT: it has this line
says() { grep -qxe "$2" "$1" || fail "$1 has no line '$2', which fits the version in meson.build"; }

test_the_version_is_the_same_everywhere() {
	local version series
	version=$("$GUESTDUMP" --version)
	version=${version#guestdump }
	series=${version%.*}
	says NEWS.md "## $version (.*)"
	says packaging/guestdump.spec "Version: *$version"
	says debian/changelog "guestdump ($version-[0-9]*) .*"
	says debian/libguestdump0.symbols \
		"libguestdump.so.0 libguestdump0 (>= $series~), libguestdump0 (<< 0.$((${series#0.} + 1))~)"
	says debian/libguestdump0.symbols " (symver)GUESTDUMP_$series $series.0"
}

test_the_version_is_the_same_everywhere
