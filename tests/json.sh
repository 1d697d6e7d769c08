#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/json.sh - the JSON of all commands has the form of guestdump-json(5) and of its schema
# test: json 600
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
/usr/bin/python3 -c 'import jsonschema' 2>/dev/null || skip "needs python3-jsonschema"
tmpdir
cd "$tmp"
schema=$root/tool/guestdump-1.schema.json
page=$root/man/guestdump-json.5
export XDG_RUNTIME_DIR=$tmp/run
mkdir -m 700 -p run/guestdump

head -c 1M /dev/urandom >raw
"$GUESTDUMP" convert -q --input-format raw --range 0:1M raw plain

# ask FILE PYTHON: an expression of the objects in FILE, a list called "all", is true
ask() {
	python3 -c 'import json, sys
all = [json.loads(line) for line in open(sys.argv[1])]
sys.exit(not eval(sys.argv[2]))' "$@" || fail "$2: not so: $(cat "$1")"
}

test_the_validator_sees_what_is_wrong() {
	local change
	"$GUESTDUMP" info --json plain >good
	valid_json good
	for change in 's/"schema":1/"schema":2/' 's/"type":"info"/"type":"infos"/' 's/"start":"0x0"/"start":0/' \
		's/"pages":256/"pages":"256"/' 's/"panic":null,//' 's/"size":/"size_of_it":/' 's/}$/,"x":1}/' 's/}$/}}/'; do
		sed "$change" good >bad
		! cmp -s good bad || fail "$change does not change anything"
		! (valid_json bad) 2>/dev/null || fail "$change is not noticed"
	done
}

# results STATUS TYPES COMMAND...: COMMAND prints such objects; a failure is reported to people, too
results() {
	local status=$1 types=$2
	shift 2
	fails_with "$status" "$GUESTDUMP" "$@" >out 2>err
	valid_json --only "$types" out
	[ -s out ] || fail "$*: prints nothing"
	[ "$status" = 0 ] || grep -q '^guestdump: ' err || fail "$*: no message"
	! grep -q '"type":"error"' out || ask out "all[-1]['status'] == $status"
}

test_results() {
	results 0 info info --json plain
	results 0 info info --json -rv plain
	results 1 info,error info --json -p plain
	results 1 info,error info --json -t plain
	results 1 error info --json missing
	results 0 verify verify --json plain
	results 1 verify verify --json plain raw missing
	results 1 error dmesg --json plain
	results 0 report report --json plain
	results 0 report report --json --all -s verdict,log plain
	results 0 list list --json
	results 0 guests guests --json
	results 0 jobs jobs --json
	results 1 error jobs --json --watch 77
	results 0 crashes crashes --json --store "$tmp/crash/%n"
	results 1 error crashes --json --store "$tmp/crash/%n" show 12345678
	results 2 error crashes --json --store crash
	results 1 error cancel --json 77
	results 2 error cancel x --json
	results 2 error info --json
	results 2 error info --nonsense plain --json
	results 2 error lits --json
	results 0 estimate convert --dry-run --json plain
}

# events STATUS LAST COMMAND...: its standard error has such events only, and ends with that one
events() {
	local status=$1 last=$2
	shift 2
	fails_with "$status" "$GUESTDUMP" "$@" >out 2>err
	valid_json err
	valid_json out
	ask err "all[-1]['type'] == '$last'"
	[ "$last" != error ] || ask err "all[-1]['status'] == $status"
	rm -f new new.incomplete
}

test_events() {
	events 0 'done' convert --json plain new
	ask err "[e['type'] for e in all if e['type'] != 'progress'] == ['start', 'plan', 'done']"
	ask err "[e['output'] for e in all if 'output' in e] == ['new', 'new']"
	events 0 'done' convert --progress json -v plain new
	ask err "'debug' in [e['type'] for e in all]"
	events 6 'done' convert --json -d 31 plain new
	ask err "'warning' in [e['type'] for e in all]"
	events 0 plan convert --json --dry-run plain
	# a pipe: its size is unknown
	events 0 'done' convert --json --input-format raw --range 0:1M - new < <(cat raw)
	ask err "[e['phase'] for e in all if e['type'] == 'progress'][0] == 'input'"
	events 1 error convert --json plain raw
	ask err "(all[-1]['name'], all[-1]['errno']) == ('exists', 'EEXIST')"
	events 1 error convert missing --progress=json new
	ask err "(all[-1]['name'], all[-1]['errno']) == ('not-found', 'ENOENT')"
	events 1 error convert --json raw new
	ask err "all[-1]['name'] == 'unknown-format'"
	events 2 error convert --nonsense plain new --json
	events 2 error convert --progress json
	events 1 error dump --json qmp:nothing new
	events 1 error dump --json --detach qmp:nothing new
	events 0 progress verify --json --progress json plain
	# standard output is the dump
	"$GUESTDUMP" convert --json plain - >new 2>err
	valid_json err
	"$GUESTDUMP" verify -q new >/dev/null
	rm new
}

test_a_full_disk() {
	local status=0
	# a limit is a disk that is full
	head -c 8M /dev/urandom >large
	(ulimit -f 4096; exec "$GUESTDUMP" convert --json -j 1 --input-format raw --range 0:8M large new 2>err) || status=$?
	[ $status = 3 ] || fail "a full disk: exit status $status"
	valid_json err
	ask err "(all[-1]['name'], all[-1]['errno'], all[-1]['status']) == ('no-space', 'EFBIG', 3)"
	ask err "all[-1]['partial'] == 'new.incomplete' and all[-1]['partial_pages'] is not None"
	rm new.incomplete large
}

# What is no UTF-8 is escaped, and nothing else
test_text() {
	local name=$'\xff\xc3\xa9\xc3\x28\xed\xa0\x80\xf5\\n\t.kdump'
	cp plain "$name"
	guestdump_json info --json "$name" >out
	ask out "all[0]['input'] == r'\\xff' + '\\u00e9' + r'\\xc3' + '(' + r'\\xed\\xa0\\x80\\xf5' + r'\\n' + '\\t.kdump'"
	rm "$name"
}

# write_job STATE STATUS RESULT ERROR: a job that has ended, with a warning
write_job() {
	cat >run/guestdump/77.json <<-END
		{"schema": 1, "id": 77, "state": "$1", "version": "0.1.0", "input": "qmp:/run/vm.sock", "output": "/tmp/vm.kdump",
		"start_time": 1796041590, "end_time": 1796041599, "status": $2, "done": 1048576, "total": 2097152,
		"was_running": true, "run_state": "running", "paused_seconds": 0.25, "warnings": ["slow"], "result": $3, "error": $4}
	END
}

test_jobs_that_have_ended() {
	local error='{"name": "no-space", "message": "full", "errno": "ENOSPC", "status": 3, "partial": "x", "partial_pages": 7}'
	local result='{"status": 0, "output": "vm", "bytes": 1, "page_size": 4096, "pages": 1, "zero": 0,
		"compressed": 1, "uncompressed": 0, "unreadable": 0, "zero_filled": 0, "seconds": 1.5,
		"paused_seconds": 0.25, "stalled_seconds": 0.0}'
	write_job failed 3 null "$error"
	results 0 jobs jobs --json
	ask out "all[0]['jobs'][0]['error']['name'] == 'no-space'"
	"$GUESTDUMP" jobs >out
	grep -q '^77 *failed *50% of 2.0 MiB *250 ms *- *qmp:/run/vm.sock to /tmp/vm.kdump$' out || fail "$(cat out)"
	grep -q '^  *warning: slow$' out || fail "$(cat out)"
	grep -q '^  *error: full$' out || fail "$(cat out)"
	fails_with 3 guestdump_json jobs --json --watch 77 >out
	ask out "[e['type'] for e in all] == ['start', 'warning', 'progress', 'pause', 'error']"
	write_job completed 0 "$result" null
	results 0 start,warning,progress,pause,done jobs --json --watch 77
	ask out "all[-1]['type'] == 'done' and all[-1]['bytes'] == 1"
	results 1 error cancel --json 77
	ask out "all[0]['name'] == 'job-ended'"
	# a process that is gone
	write_job active null null null
	results 0 jobs jobs --json
	ask out "(all[0]['jobs'][0]['state'], all[0]['jobs'][0]['error']['name']) == ('failed', 'killed')"
	rm run/guestdump/77.json
}

# The table in the program, the schema and the manual have the same names and exit statuses
test_names_of_errors() {
	/usr/bin/python3 - "$schema" "$page" "$root/tool/failure.c" "$root/tool/tool.h" <<-'PYTHON' || fail "see above"
		import json, re, sys
		schema, page, table, header = (open(path).read() for path in sys.argv[1:])
		status = {name: int(value) for name, value in re.findall(r"(EXIT_\w+) = (\d)", header)}
		program = [(name, status[value]) for name, value in re.findall(r'= \{ "([a-z-]+)", +(EXIT_\w+) \}', table)]
		manual = [(name, int(value)) for name, value in re.findall(r"^\.It Li ([a-z-]+) Ta (\d) Ta", page, re.M)]
		enum = json.loads(schema)["$defs"]["failure"]["properties"]["name"]["enum"]
		assert len(program) > 15 and program == manual, set(program) ^ set(manual)
		assert [name for name, value in program] == enum, enum
	PYTHON
}

# Each type and each member of the schema is in the manual
test_the_manual_has_every_member() {
	/usr/bin/python3 - "$schema" "$page" <<-'PYTHON' || fail "see above"
		import json, re, sys
		schema, page = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
		names = set()
		def collect(node):
		    if isinstance(node, dict):
		        names.update(node.get("properties", ()) if isinstance(node.get("properties"), dict) else ())
		        for value in node.values():
		            collect(value)
		    elif isinstance(node, list):
		        for value in node:
		            collect(value)
		collect(schema)
		words = set(re.findall(r"\w+", " ".join(line for line in page.split("\n") if re.match(r"\.(It )?Va |\.Ss ", line))))
		assert len(names) > 90, names
		missing = sorted(names - words) + sorted(
		    entry["$ref"] for entry in schema["oneOf"] if entry["$ref"].split("/")[-1] not in words)
		sys.exit("not in the manual: %s" % missing if missing else 0)
	PYTHON
}

# Every other test that asks for JSON holds it against the schema
test_others_validate() {
	local found
	found=$(cd "$root/tests" && grep -nE '"\$GUESTDUMP" .*--(json|progress[ =]json)' -r --include='*.sh' . |
		grep -vE '^\./(json|usage)\.sh:|>jobs\.json|>events|2>&8' || true)
	[ -z "$found" ] || fail "use guestdump_json or valid_json: $found"
}

test_the_validator_sees_what_is_wrong
test_results
test_events
test_a_full_disk
test_text
test_jobs_that_have_ended
test_names_of_errors
test_the_manual_has_every_member
test_others_validate
