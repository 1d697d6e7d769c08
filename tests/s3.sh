#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# tests/s3.sh - dumps that go to S3: to a server of our own that has faults, and to s3rver, if that is
# there (npm install s3rver; its place in PATH, or in S3RVER)
# test: s3 600 @PARALLEL@
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
requires python3 curl
tmpdir
cd "$tmp"
# no file of the user's, and no proxy
export HOME=$tmp AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET/KEY+1
unset AWS_SESSION_TOKEN AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3
export no_proxy=127.0.0.1

cleanup_fn stop_s3

# random, zeros, and what can be compressed: parts of all kinds
{ head -c 30M /dev/urandom; head -c 20M /dev/zero; seq 1000000; head -c 9M /dev/urandom; } >raw
truncate -s 66M raw
convert() { "$GUESTDUMP" convert --no-metadata --input-format raw --range 0:66M raw "$@"; }
convert -q small.kdump --length 1M
status=0
"$GUESTDUMP" convert small.kdump s3://b/k --s3-endpoint http://127.0.0.1:9 2>err || status=$?
grep -q 'built without libcurl' err && skip "this guestdump was built without libcurl"

no_upload() { [ -z "$(ls s/uploads)" ] || fail "$1: an upload remains: $(ls s/uploads)"; }
no_object() { [ ! -e s/b/o ] || fail "$1: the object is there"; }

# The object has the bytes of the file, in each format
test_same_bytes() {
	local options
	for options in "" "-d 1" "-f elf" "-f lime" "-f raw" "-F" "--no-checksum -C none" "-f elf -j 1"; do
		rm -rf disk disk.ranges s/b/*
		# shellcheck disable=SC2086 # several options
		convert -q disk $options 2>err || fail "convert $options: $(cat err)"
		# shellcheck disable=SC2086
		convert -q "s3://b/a dir/ü+x" $options 2>err || fail "convert $options: $(cat err)"
		cmp disk "s/b/a dir/ü+x" || fail "convert $options: the object is another than the file"
		[ "$options" != "-f raw" ] || cmp disk.ranges "s/b/a dir/ü+x.ranges" || fail "PATH.ranges"
		no_upload "$options"
	done
}

# Headers that are written again, as the dump turns out to be incomplete
test_incomplete() {
	local format
	convert -q --force whole
	head -c 20M whole >short
	for format in kdump elf; do
		rm -rf disk s/b/*
		fails_with 3 "$GUESTDUMP" convert -q -f $format short disk 2>err
		fails_with 3 "$GUESTDUMP" convert -q -f $format short s3://b/o 2>err
		cmp disk s/b/o || fail "incomplete $format: the object is another than the file"
		! grep -q 'nothing in' err || fail "incomplete $format is not marked: $(cat err)"
	done
	rm -f s/b/*
}

# It replaces nothing without --force, also if it appears in the meantime
test_existing() {
	convert -q s3://b/o
	fails_with 1 convert -q s3://b/o 2>err
	grep -q 'already exists.*--force' err || fail "an object that exists: $(cat err)"
	convert -q --force -d 1 s3://b/o || fail "--force"
	no_upload "--force"
}

# What a server or the network does once is repeated
test_faults_that_pass() {
	local fault
	convert -q disk --force
	for fault in 500 503 close etag late-error lost-answer no-get; do
		start_s3 $fault
		convert -q s3://b/o 2>err || fail "$fault: $(cat err)"
		cmp disk s/b/o || fail "$fault: the object is another than the file"
		no_upload $fault
	done
}

# error FAULT STATUS MESSAGE
error() {
	start_s3 "$1"
	fails_with "$2" convert -q s3://b/o 2>err
	grep -q "$3" err || fail "$1: $(cat err)"
	no_object "$1"
}

test_faults_that_stay() {
	error every-500 1 'cannot upload part .*: the server answered with status 500 InternalError: We'
	no_upload every-500
	error expired 1 'cannot upload part .*: the server answered with status 403 ExpiredToken'
	no_upload expired
	error every-etag 1 'cannot upload part .* the server received other bytes than were sent'
	no_upload every-etag
	error every-close 1 'cannot upload part .*: Empty reply from server'
	no_upload every-close
	error die 1 'cannot upload part .*connect.*; the upload id.* remains at the server'
}

# Known before anything is read
test_refused_at_once() {
	error skew 1 'cannot access this object: .*RequestTimeTooSkewed'
	[ "$(cat s/log)" = "GET /b/o" ] || fail "more was sent: $(cat s/log)"
	start_s3
	fails_with 1 convert -q s3://other/o 2>err
	grep -q 'NoSuchBucket' err || fail "another bucket: $(cat err)"
	AWS_SECRET_ACCESS_KEY=wrong fails_with 1 convert -q s3://b/o 2>err
	grep -q 'SignatureDoesNotMatch' err || fail "a wrong key: $(cat err)"
	stop_s3
	fails_with 1 convert -q s3://b/o 2>err
	grep -q "s3://b/o: cannot access this object: .*connect" err || fail "no server: $(cat err)"
}

test_usage() {
	local bad
	for bad in s3:// s3://b s3://b/ s3:///k 's3://b:1/k' 's3://a@b/k'; do
		fails_with 2 convert -q "$bad" 2>err
		grep -q 'not the name of an object' err || fail "$bad: $(cat err)"
	done
	fails_with 2 convert -q --s3-endpoint ftp://x s3://b/o 2>err
	grep -q 'endpoint is not a URL' err || fail "--s3-endpoint: $(cat err)"
	fails_with 2 convert -q --split 2 s3://b/o 2>err
	grep -q 'an object is not split' err || fail "--split: $(cat err)"
	(unset AWS_ACCESS_KEY_ID; fails_with 2 convert -q s3://b/o 2>err)
	grep -q 'no credentials for S3' err || fail "no keys: $(cat err)"
	AWS_SECRET_ACCESS_KEY='' fails_with 2 convert -q s3://b/o 2>err
	grep -q 'AWS_SECRET_ACCESS_KEY is not' err || fail "half of the keys: $(cat err)"
}

# Keys, region and endpoint of a profile; a token
test_profiles() {
	start_s3
	printf tok >s/token
	mkdir -p .aws
	cat >.aws/credentials <<-END
		[default]
		aws_access_key_id = nobody
		aws_secret_access_key = nothing
		# a comment
		[dumps]
		aws_access_key_id=AKID
		aws_secret_access_key = SECRET/KEY+1
		aws_session_token = tok
	END
	printf '[profile dumps]\nregion = eu-west-1\nendpoint_url = %s\n' "$AWS_ENDPOINT_URL" >.aws/config
	(
		unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL
		AWS_PROFILE=dumps convert -vv s3://b/o 2>err || fail "a profile: $(cat err)"
		AWS_PROFILE=other fails_with 2 convert -q s3://b/p 2>err2
		AWS_PROFILE=default fails_with 1 convert -q --s3-endpoint "http://127.0.0.1:$(cat s/port)" s3://b/p 2>>err2
	)
	grep -q 'profile other, which AWS_PROFILE names' err2 || fail "another profile: $(cat err2)"
	grep -q SignatureDoesNotMatch err2 || fail "the profile with other keys: $(cat err2)"
	grep -q 'the upload has begun' err || fail "-vv: $(cat err)"
	! grep -E 'SECRET|tok$|AWS4' err || fail "a secret in the log"
}

# SIGTERM ends it at once, and removes the parts
test_cancel() {
	local pid status=0
	start_s3 hang
	convert -q s3://b/o 2>err &
	pid=$!
	for _ in $(seq 300); do
		grep -q PUT s/log 2>/dev/null && break
		sleep 0.1
	done
	# the function runs in a shell of its own
	kill "$(pgrep -P $pid || echo $pid)"
	for _ in $(seq 150); do
		kill -0 $pid 2>/dev/null || break
		sleep 0.1
	done
	kill -0 $pid 2>/dev/null && fail "it still waits for the server"
	wait $pid || status=$?
	[ $status = 4 ] || fail "status $status: $(cat err)"
	no_object cancel
	no_upload cancel
}

# Killed, too
test_killed() {
	local pid
	start_s3 hang
	"$GUESTDUMP" convert -q --no-metadata --input-format raw --range 0:66M raw s3://b/o 2>err &
	pid=$!
	for _ in $(seq 300); do
		grep -q PUT s/log 2>/dev/null && break
		sleep 0.1
	done
	[ -n "$(ls s/uploads)" ] || fail "no upload has begun: $(cat err)"
	kill -9 $pid
	wait $pid 2>/dev/null || true
	for _ in $(seq 300); do
		[ -n "$(ls s/uploads)" ] || break
		sleep 0.1
	done
	no_object killed
	no_upload killed
}

# To a URL it is sent at once, when it is complete
test_url() {
	local options url fault
	start_s3
	printf S3CR3T >s/sig
	url=http://127.0.0.1:$(cat s/port)/open/o
	for options in "" "-d 1" "-f elf" "-F" "-f lime -j 1"; do
		rm -f disk s/open/o
		# shellcheck disable=SC2086 # several options
		convert -q disk $options 2>err || fail "convert $options: $(cat err)"
		# shellcheck disable=SC2086
		convert "$url?sig=S3CR3T" $options 2>err || fail "to a URL, $options: $(cat err)"
		cmp disk s/open/o || fail "to a URL, $options: the object is another than the file"
		! grep S3CR3T err || fail "a secret was printed"
	done
	fails_with 1 convert -q "$url?sig=S3CR3T" 2>err
	grep -q "$url: cannot upload: .*412 .*the object exists" err || fail "it exists: $(cat err)"
	convert -q --force "$url?sig=S3CR3T" 2>err || fail "--force: $(cat err)"
	rm s/open/o
	fails_with 1 convert -q "$url?sig=other" 2>err
	grep -q "$url: cannot upload: .*status 403 AccessDenied" err || fail "refused: $(cat err)"
	fails_with 2 convert -q -f raw "$url" 2>err
	grep -q 'need a second file' err || fail "raw: $(cat err)"
	fails_with 2 convert -q --split 2 "$url" 2>err
	grep -q 'not split' err || fail "--split: $(cat err)"
	rm -f disk
	convert -q disk
	for fault in 500 close; do
		start_s3 $fault
		convert -q "http://127.0.0.1:$(cat s/port)/open/o" 2>err || fail "$fault: $(cat err)"
		cmp disk s/open/o || fail "$fault: the object is another than the file"
	done
}

peak() {
	/usr/bin/python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' "$GUESTDUMP" convert -q -j 1 \
		--no-metadata --input-format raw --range 0:400M large "$@"
}

# Ten parts of 8 MiB are all that it needs, also if the server is slow
test_memory() {
	local file object
	head -c 200M /dev/urandom >large
	truncate -s 400M large
	start_s3 slow
	file=$(peak disk2)
	object=$(peak s3://b/o)
	cmp disk2 s/b/o || fail "a slow server"
	rm -f large disk2
	[ "$object" -lt $((file + 80 + 40)) ] || fail "$object MiB instead of $file"
}

# Confined: it reaches the network, and nothing else
test_confined() {
	start_s3
	convert -v s3://b/o 2>err || fail "$(cat err)"
	! grep -q 'confined by seccomp' err || grep -q 'no other processes' err || fail "seccomp: $(cat err)"
	! grep -q 'confined by Landlock' err || grep -q 'writes nothing' err || fail "Landlock: $(cat err)"
}

test_s3rver() {
	local s3rver=${S3RVER:-$(command -v s3rver || true)} pid
	[ -n "$s3rver" ] || { echo "not tested with s3rver, which is not installed"; return; }
	stop_s3
	mkdir -p data
	"$s3rver" -d data -a 127.0.0.1 -p 4568 --configure-bucket b >s3rver.log 2>&1 &
	pid=$!
	cleanup_fn kill $pid
	for _ in $(seq 300); do
		grep -q listening s3rver.log && break
		sleep 0.1
	done
	export AWS_ENDPOINT_URL=http://127.0.0.1:4568 AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER
	convert -q --force disk
	convert -q "s3://b/a b+c" 2>err || fail "s3rver: $(cat err)"
	curl -sf "$AWS_ENDPOINT_URL/b/a%20b%2Bc" -o got || fail "s3rver does not have the object"
	cmp disk got || fail "s3rver: the object is another than the file"
	fails_with 1 convert -q "s3://b/a b+c" 2>err
	kill $pid
	wait $pid 2>/dev/null || true
}

# libcurl is loaded when it is needed, and what to install is said if it is not there
test_libcurl() {
	! ldd "$GUESTDUMP" 2>ldd.err | grep -q libcurl || fail "the program needs libcurl to start"
	ldd "$GUESTDUMP" >ldd.out 2>&1 || return 0      # a static one
	mkdir -p no-curl
	echo x >no-curl/libcurl.so.4
	echo x >no-curl/libcurl-gnutls.so.4
	LD_LIBRARY_PATH=$PWD/no-curl:${LD_LIBRARY_PATH:-} fails_with 1 convert -q s3://b/o 2>err
	grep -q 'libcurl.so.4 cannot be loaded: install libcurl' err || fail "without libcurl: $(cat err)"
}

start_s3
test_libcurl
test_same_bytes
test_incomplete
test_existing
test_usage
test_profiles
test_confined
test_faults_that_pass
test_refused_at_once
test_cancel
test_killed
test_url
test_memory
test_faults_that_stay
test_s3rver
