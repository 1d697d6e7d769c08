#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/full/cross-s390x.sh - all is the same on a big-endian machine
# test: cross-s390x 1200

set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires_full
exec "$root/tests/cross-s390x"
