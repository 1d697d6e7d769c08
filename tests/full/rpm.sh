#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/rpm.sh - packages are built by the spec, and what is in them runs
#
# On Debian the packages that it needs have other names: their presence is not checked.
# test: rpm 900
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/full/chroot.bash
. "$(dirname "$0")/chroot.bash"
requires_full
requires rpmbuild rpm2cpio cpio git
tmpdir
version=$(sed -n 's/^Version: *//p' "$root/packaging/guestdump.spec")

copy_sources "$tmp/guestdump-$version"
mkdir "$tmp/SOURCES"
tar czf "$tmp/SOURCES/guestdump-$version.tar.gz" -C "$tmp" "guestdump-$version"
rpmbuild -bb --nodeps --nocheck --define "_topdir $tmp" "$root/packaging/guestdump.spec" \
	>"$tmp/log" 2>&1 || { tail -n 30 "$tmp/log"; fail "rpmbuild"; }

mkdir "$tmp/root"
for package in guestdump guestdump-libs guestdump-devel; do
	file=$(echo "$tmp/RPMS"/*/"$package-$version"-*.rpm)
	rpm -qp --qf '%{NAME} %{VERSION} %{LICENSE}\n' "$file"
	rpm2cpio "$file" | (cd "$tmp/root" && cpio -id --quiet)
done
rpm -qp --provides "$tmp"/RPMS/*/guestdump-libs-*.rpm | grep '^libguestdump.so.0(GUESTDUMP_' ||
	fail "the versions of the symbols are not provided"
libdir=$(dirname "$(find "$tmp/root" -name libguestdump.so)")
LD_LIBRARY_PATH=$libdir PATH=$tmp/root/usr/bin:$PATH "$root/debian/tests/smoke" || fail "the program"
