#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/crashes.sh [BUILD-DIRECTORY] - guestdump crashes, and the directories it works on
# test: crashes 300 @BUILD@
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3
build=${1:-$root/build}
writer=$build/tests/unit/crash_writer
[ -x "$writer" ] || skip "needs $writer"
tmpdir
cd "$tmp"
template="$tmp/crash/%n/%s"
export TZ=UTC

crashes() { "$GUESTDUMP" crashes --store "$template" "$@"; }
json_crashes() { guestdump_json crashes --store "$template" --json "$@"; }

# ask PYTHON: an expression of the object that json_crashes prints is true
ask() {
	json_crashes >out
	python3 -c 'import json, sys
crashes = json.load(open("out"))["crashes"]
sys.exit(not eval(sys.argv[1]))' "$1" || fail "not so: $1: $(cat out)"
}

# says MESSAGE STATUS ARGUMENT...
says() {
	local message=$1 status=$2
	shift 2
	fails_with "$status" crashes "$@" >out 2>err
	grep -qF -- "$message" err || fail "$*: '$message' is not in: $(cat err)"
}

test_nothing() {
	says "there is no crash in $tmp/crash" 0
	ask "crashes == []"
	says "there is no crash 'abcd'" 1 show abcd
	says "there is no crash" 1 show
	says "'shew' is not list, show or rm" 2 shew
	says "missing ID" 2 rm
	says "one argument too many: 'x'" 2 list x
	says "is not an absolute path" 2 --store crash/%n
	[ ! -e crash ] || fail "a directory was created"
}

test_list_and_show() {
	"$writer" "$template" web-1 panic 1000000000 vmcore=core report.txt=$'what is wrong\npanic\e[31m\n' >path
	"$writer" "$template" web-1 panic 1000000060 report.txt=again >/dev/null
	"$writer" "$template" 'db/../x' log 1000000030 vmcore=core vmcore2.incomplete=half >/dev/null
	[ "$(cat path)" = "$tmp/crash/web-1/1000000000" ] || fail "$(cat path)"
	ask "[c['guest'] for c in crashes] == ['web-1', 'db/../x', 'web-1']"
	ask "[c['state'] for c in crashes] == ['whole', 'partial', 'whole']"
	ask "[(c['first'], c['has_dump']) for c in crashes] == [(True, True), (True, True), (False, False)]"
	ask "crashes[1]['path'] == '$tmp/crash/db_.._x/1000000030.partial' and crashes[0]['pid'] == 1234"
	python3 -c 'import json, sys; print(json.dumps(json.load(open(sys.argv[1]))))' crash/web-1/1000000000/meta.json >meta
	valid_json --only crash meta
	crashes >out
	grep -qE '^[0-9a-f]{8}  2001-09-09 01:46:40  web-1 +panic +[0-9.]+ KiB  whole$' out || fail "$(cat out)"
	grep -qE '^[0-9a-f]{8}  2001-09-09 01:47:40  web-1 +panic +[0-9.]+ KiB  report$' out || fail "$(cat out)"
	id=$(awk '$4 == "db/../x" { print $1 }' out)
	crashes show "$id" >out
	grep -qx 'guest       db/../x' out || fail "$(cat out)"
	crashes show web-1 >out
	grep -qx 'state       whole, without a dump' out || fail "$(cat out)"
	json_crashes show "$id" >out
	id=$(crashes | awk '/whole/ { print $1 }')
	crashes show "${id:0:5}" >out
	grep -qxF '  panic\x1b[31m' out || fail "$(cat out)"
	if grep -q sha256 out; then
		grep -q "^ *vmcore .* $(sha256sum <crash/web-1/1000000000/vmcore | cut -d' ' -f1)$" out || fail "$(cat out)"
	fi
}

test_remove() {
	local id
	says "there is no crash 'feed00'" 1 rm "$(crashes | awk '/whole/ { print $1 }')" feed00
	ask "len(crashes) == 3"
	says "begins with" 1 rm "$(crashes | awk '/whole/ { print substr($1, 1, 3) }')"
	mkdir crash/web-1/1000000060/mine
	id=$(crashes | awk '/report/ { print $1 }')
	says "there is a directory in it that is not of guestdump" 1 rm "$id"
	rmdir crash/web-1/1000000060/mine
	# a link is removed, and not what it leads to
	echo precious >precious
	ln -s "$tmp/precious" crash/web-1/1000000060/link
	json_crashes rm "$id" >out
	[ -e precious ] || fail "a link was followed"
	[ ! -e crash/web-1/1000000060 ] || fail "$(ls -lR crash)"
	ask "len(crashes) == 2"
}

# What is not ours is neither listed nor removed
test_others() {
	mkdir -p crash/other/dump crash/fake elsewhere/real
	echo '{"schema": 1, "type": "info"}' >crash/fake/meta.json
	cp -r crash/web-1/1000000000 elsewhere/real/crash
	ln -s "$tmp/elsewhere" crash/link
	ln -s "$tmp/elsewhere/real/crash/meta.json" crash/other/meta.json
	cp -r crash/web-1/1000000000 crash/open-to-all
	chmod 777 crash/open-to-all
	ask "len(crashes) == 2"
	"$writer" --recover "$template" >out
	[ ! -s out ] || fail "$(cat out)"
	[ -e crash/other/dump ] || fail "a directory of others was removed"
	[ -e elsewhere/real/crash/vmcore ] || fail "a link was followed"
	rm -r crash/other crash/fake crash/link crash/open-to-all
	chmod 777 crash
	says "other users can write to the directory for crashes" 1
	chmod 700 crash
}

test_writing_and_killed() {
	local path id
	mkfifo in
	"$writer" --wait "$template" vm panic 1000000100 report.txt=whole vmcore.incomplete=half <in >begun &
	writer_pid=$!
	exec 7>in
	for _ in {1..100}; do
		[ -s begun ] && break
		sleep 0.05
	done
	path=$(cat begun)
	ask "crashes[-1]['state'] == 'writing' and crashes[-1]['path'] == '$path'"
	id=$(crashes | awk '/writing/ { print $1 }')
	says "is being written" 1 rm "$id"
	"$writer" --recover "$template" >out
	[ ! -s out ] || fail "$(cat out)"
	kill -9 "$writer_pid"
	wait "$writer_pid" || true
	exec 7>&-
	ask "crashes[-1]['state'] == 'killed'"
	"$writer" --recover "$template" >out
	[ "$(cat out)" = "$path ${path%.incomplete}.partial -" ] || fail "$(cat out)"
	[ "$(ls "${path%.incomplete}.partial")" = $'meta.json\nreport.txt' ] || fail "$(ls "${path%.incomplete}.partial")"
	ask "crashes[-1]['state'] == 'partial' and 'killed' in crashes[-1]['notes'][-1]"
	# it has the id that it had
	crashes show "$id" >out
}

test_the_configuration() {
	mkdir watch.conf.d
	echo "[Watch]" >watch.conf
	printf '[Watch]\nStore=%s\n[Guest x]\nStore=%s\n' "$template" "$tmp/second/%n/%s" >watch.conf.d/10-store.conf
	"$writer" "$tmp/second/%n/%s" x panic 1000000005 vmcore=x >/dev/null
	guestdump_json crashes --json --config watch.conf >out
	python3 -c 'import json, sys; sys.exit([c["guest"] for c in json.load(open("out"))["crashes"]] != ["web-1", "x", "db/../x", "vm"])' ||
		fail "$(cat out)"
	printf '[Watch]\nMaxUse=lots\nMaxUze=1G\n' >watch.conf.d/20-bad.conf
	fails_with 2 "$GUESTDUMP" crashes --config watch.conf >out 2>err
	grep -q "^guestdump: watch.conf.d/20-bad.conf:2: MaxUse=lots: 'lots' is not a number of bytes such as" err || fail "$(cat err)"
	grep -q "^guestdump: warning: watch.conf.d/20-bad.conf:3: unknown key 'MaxUze' is ignored; did you mean 'MaxUse'?" err || fail "$(cat err)"
	fails_with 2 "$GUESTDUMP" crashes --config missing.conf 2>err
	grep -q "missing.conf: cannot read this configuration: No such file" err || fail "$(cat err)"
}

test_completion() {
	[ "$("$GUESTDUMP" complete crashes '' | cut -f1 | xargs)" = "list show rm" ] || fail "the words are not completed"
	"$GUESTDUMP" complete crashes show '' >out || fail "ids"
}

test_nothing
test_completion
test_list_and_show
test_remove
test_others
test_writing_and_killed
test_the_configuration
