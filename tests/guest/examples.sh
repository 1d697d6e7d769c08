#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/examples.sh - what the manual pages and the README show is what happens
#
# Runs every example of man/ and README.md with a small guest and compares the output in
# shape; tests/tools/examples.py says how.  At the end it lists what it could not run.
# test: guest-examples 600 @BUILD@
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires python3 gzip

build=$(realpath "${1:-$root/${BUILD:-build}}")
start_guest vm -- -name web7 -uuid 21c6e1f4-0c5e-4a4b-8d3e-57c5b4f0a9d2
mkdir "$tmp/bin" "$tmp/work" "$tmp/made"
ln -s "$GUESTDUMP" "$tmp/bin/guestdump"

(cd "$tmp/made" && "$GUESTDUMP" dump "$guest_source" vm.kdump) 2>"$tmp/err" || fail "$(cat "$tmp/err")"
grep -q warning "$tmp/err" && skip "the pages show a user that may read QEMU's process"
"$GUESTDUMP" dump -q -E "$guest_source" "$tmp/made/vm.elf"
"$GUESTDUMP" convert -q -f raw "$tmp/made/vm.elf" "$tmp/made/vm.raw"
gzip -1 <"$tmp/made/vm.kdump" >"$tmp/made/memory.dump.gz"
if [ -x "$build/tests/pv/mkpv" ]; then
	printf 'the key of the owner is 32 bytes' >"$tmp/made/cck"
	(cd "$tmp/made" && "$build/tests/pv/mkpv" plain plain 1 1 0:0x800000 &&
		"$build/tests/pv/mkpv" seal plain cck protected.elf)
fi

# examples.py calls this in a page's directory for each file that the page takes for granted
cat >"$tmp/make" <<EOF
#!/bin/sh
cp --sparse=always -p "$tmp/made/\$1" .
[ ! -e "$tmp/made/\$1.ranges" ] || cp -p "$tmp/made/\$1.ranges" .
EOF
chmod +x "$tmp/make"

cd "$root"
python3 tests/tools/examples.py run --bin "$tmp/bin" --dir "$tmp/work" --socket "$guest_qmp" \
	--make "$tmp/make" man/*.[1-9] README.md
