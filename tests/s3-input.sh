#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/s3-input.sh - dumps that are read from S3 and from URLs, of a server that has faults
# test: s3-input 600 @PARALLEL@
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3
tmpdir
cd "$tmp"
export HOME=$tmp AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET/KEY+1
unset AWS_SESSION_TOKEN AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3
export no_proxy=127.0.0.1

cleanup_fn stop_s3

{ head -c 20M /dev/urandom; head -c 5M /dev/zero; seq 1000000; } >memory
truncate -s 34M memory
make_dump() { "$GUESTDUMP" convert -q --no-metadata --input-format raw --range 0:34M memory "$@"; }
make_dump dump
status=0
"$GUESTDUMP" info http://127.0.0.1:9/x 2>err || status=$?
grep -q 'built without libcurl' err && skip "this guestdump was built without libcurl"

url() { echo "http://127.0.0.1:$(cat s/port)/open/$1"; }
serve() {
	start_s3 "$@"
	cp -r dump s/b/o
	cp -r dump s/open/o
}

# Each format and each command, with one thread and with several
test_same() {
	local options input
	serve
	for options in "" "-f elf" "-f lime" "-f raw" "-F" "--no-checksum -C none"; do
		rm -f file file.ranges copy copy.ranges
		# shellcheck disable=SC2086 # several options
		make_dump file $options
		for input in "s3://b/a dir/ü+x" "$(url x)"; do
			mkdir -p "s/b/a dir"
			cp file "s/b/a dir/ü+x"
			cp file s/open/x
			[ ! -e file.ranges ] || cp file.ranges "s/b/a dir/ü+x.ranges"
			[ ! -e file.ranges ] || cp file.ranges s/open/x.ranges
			"$GUESTDUMP" convert -q --force -f elf file want
			"$GUESTDUMP" convert -q --force -f elf -j 7 "$input" copy 2>err || fail "$options: $(cat err)"
			cmp want copy || fail "$options: $input was read otherwise than the file"
			"$GUESTDUMP" convert -q --force -f elf -j 1 "$input" copy 2>err || fail "$options: $(cat err)"
			cmp want copy || fail "$options: $input was read otherwise than the file"
		done
		rm -f s/b/a\ dir/* s/open/x*
	done
}

test_commands() {
	local input
	serve
	for input in s3://b/o "$(url o)"; do
		"$GUESTDUMP" verify "$input" >out 2>err || fail "verify: $(cat err)"
		grep -q "$input" out || fail "verify: $(cat out)"
		guestdump_json info --json "$input" >out || fail "info"
		grep -q "\"$input\"" out || fail "info: $(cat out)"
		# there is no kernel in it
		fails_with 1 "$GUESTDUMP" dmesg "$input" 2>err
		grep -q 'cannot find the log' err || fail "dmesg: $(cat err)"
	done
	# from one object to another
	"$GUESTDUMP" convert -q s3://b/o s3://b/copy 2>err || fail "from S3 to S3: $(cat err)"
	cmp dump s/b/copy || fail "from S3 to S3"
	# an object that is split
	make_dump part --split 2
	cp part-1 part-2 s/open
	"$GUESTDUMP" verify -q "$(url part-1)" "$(url part-2)" 2>err || fail "parts: $(cat err)"
}

# What is read in order is read with few requests, of up to 4 MiB each
test_few_requests() {
	local requests
	serve
	"$GUESTDUMP" verify -q -j 1 "$(url o)"
	requests=$(grep -c '^GET /open/o$' s/log)
	[ "$requests" -le 25 ] || fail "verify: $requests requests for $(stat -c %s dump) bytes"
}

test_faults_that_pass() {
	local fault
	"$GUESTDUMP" convert -q --force -f elf dump want
	for fault in get-500 get-503 get-close no-etag; do
		serve $fault
		"$GUESTDUMP" convert -q --force -f elf "$(url o)" copy 2>err || fail "$fault: $(cat err)"
		cmp want copy || fail "$fault: the object was read otherwise than the file"
	done
}

# error FAULT MESSAGE
error() {
	serve "$1"
	fails_with 1 "$GUESTDUMP" verify s3://b/o >out 2>err
	grep -q "$2" out err || fail "$1: $(cat out err)"
	rm -f copy
	fails_with 1 "$GUESTDUMP" convert s3://b/o copy 2>err || fail "$1: $(cat err)"
	[ ! -e copy ] || fail "$1: there is a dump"
	grep -q "$2" err || fail "$1: $(cat err)"
	! grep -q 's3://b/o: s3://b/o' err || fail "the name is there twice: $(cat err)"
}

test_faults_that_stay() {
	serve no-ranges
	fails_with 1 "$GUESTDUMP" info s3://b/o 2>err
	grep -q 's3://b/o: the server cannot send parts of a file' err || fail "no-ranges: $(cat err)"
	error get-expired 'status 403 ExpiredToken'
	error get-replaced 'the object was replaced while it was read'
	error every-get-close 'cannot read: '
	error get-shorter 'the server sent another part of the file'
}

test_refused() {
	serve
	fails_with 1 "$GUESTDUMP" info s3://b/other 2>err
	grep -q 's3://b/other: cannot read: the server answered with status 404 NoSuchKey' err || fail "$(cat err)"
	fails_with 1 "$GUESTDUMP" info s3://c/o 2>err
	grep -q 'NoSuchBucket' err || fail "another bucket: $(cat err)"
	: >s/b/empty
	fails_with 1 "$GUESTDUMP" info s3://b/empty 2>err
	grep -q 'the file is empty' err || fail "empty: $(cat err)"
	AWS_SECRET_ACCESS_KEY=wrong fails_with 1 "$GUESTDUMP" info s3://b/o 2>err
	grep -q 'SignatureDoesNotMatch' err || fail "a wrong key: $(cat err)"
	(unset AWS_ACCESS_KEY_ID; fails_with 2 "$GUESTDUMP" info s3://b/o 2>err)
	grep -q 'no credentials for S3' err || fail "no keys: $(cat err)"
	fails_with 2 "$GUESTDUMP" info s3://b 2>err
	grep -q 'not the name of an object' err || fail "s3://b: $(cat err)"
	fails_with 2 "$GUESTDUMP" info "http://h/a b" 2>err
	grep -q 'contains a space' err || fail "a space: $(cat err)"
}

# A URL may contain a signature, which nobody sees, and no key of S3 is sent there
test_secrets() {
	serve
	printf 'S3CR3T' >s/sig
	"$GUESTDUMP" convert -v "$(url o)?sig=S3CR3T" copy >out 2>&1 || fail "a signed URL: $(cat out)"
	"$GUESTDUMP" convert --progress json "$(url o)?sig=S3CR3T" copy-2 2>events || fail "a signed URL: $(cat events)"
	valid_json events
	cat events >>out
	"$GUESTDUMP" verify "$(url o)?sig=S3CR3T" >>out 2>&1 || fail "a signed URL: $(cat out)"
	guestdump_json info -vv --json "$(url o)?sig=S3CR3T" >>out 2>err || fail "a signed URL: $(cat err)"
	cat err >>out
	fails_with 1 "$GUESTDUMP" info "$(url o)?sig=S3CR3T-2" >>out 2>&1
	fails_with 1 "$GUESTDUMP" info "http://u:S3CR3T@127.0.0.1:9/o?sig=S3CR3T" >>out 2>&1
	! grep S3CR3T out copy || fail "a secret was printed or stored"
	grep -q "$(url o)" out || fail "the name of the object is not shown: $(cat out)"
	rm s/sig
	"$GUESTDUMP" verify -q "http://127.0.0.1:$(cat s/port)/moved/o" 2>err || fail "a redirection: $(cat err)"
}

# 32 MiB are kept, whatever the size
test_memory() {
	local file object
	head -c 200M /dev/urandom >memory
	"$GUESTDUMP" convert -q --no-checksum --no-metadata --input-format raw --range 0:200M memory large
	serve
	mv large s/open/large
	file=$(peak s/open/large)
	object=$(peak "$(url large)")
	[ "$object" -lt $((file + 32 + 30)) ] || fail "$object MiB instead of $file"
}

peak() {
	/usr/bin/python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' "$GUESTDUMP" convert -q -j 2 "$1" /dev/null
}

test_confined() {
	serve
	"$GUESTDUMP" info -v "$(url o)" >out 2>err || fail "$(cat err)"
	! grep -q 'confined by seccomp' err || grep -q 'no other processes' err || fail "seccomp: $(cat err)"
	! grep -q 'confined by Landlock' err || grep -q 'writes nothing' err || fail "Landlock: $(cat err)"
}

test_same
test_commands
test_few_requests
test_faults_that_pass
test_faults_that_stay
test_refused
test_secrets
test_memory
test_confined
