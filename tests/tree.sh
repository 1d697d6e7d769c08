#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
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

# In the file itself, or in REUSE.toml
test_every_file_has_copyright_and_license() {
	local tag path elsewhere=(':(exclude)LICENSES' ':(exclude)COPYING')
	git rev-parse 2>/dev/null || return 0
	while read -r path; do
		elsewhere+=(":(exclude,glob)$path")
	done < <(sed -n '/^path = /,/^]/s/^ *"\(.*\)",$/\1/p' REUSE.toml)
	[ ${#elsewhere[@]} -gt 5 ] || fail "REUSE.toml was not understood"
	for tag in 'SPDX-FileCopyrightText: the guestdump authors' 'SPDX-License-Identifier: '; do
		git grep -L "$tag" -- . "${elsewhere[@]}" >"$tmp/without" || true
		cat "$tmp/without"
		[ ! -s "$tmp/without" ] || fail "these files have no line with '$tag'"
	done
}

tmpdir
test_the_version_is_the_same_everywhere
test_every_file_has_copyright_and_license
