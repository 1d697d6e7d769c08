#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/libvirt.sh - a guest of a libvirtd of our own, by its name
#
# The libvirtd, its guest and what they mount live in namespaces that end with this test; nothing of
# the host's own libvirt is touched.  The guest is emulated.
# test: libvirt 600
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

if [ "${1:-}" != inside ]; then
	requires libvirtd virtlogd virsh qemu-system-x86_64 unshare setpriv python3
	[ "$(id -u)" = 0 ] || skip "needs root"
	# they stand in for those of libtirpc, which is not loaded when the program starts
	! grep -q __asan_init "$GUESTDUMP" || skip "libvirt crashes with the XDR functions of AddressSanitizer"
	unshare --mount --pid --fork true 2>/dev/null || skip "needs namespaces"
	"$guest" prepare x86_64 >/dev/null || skip "this machine cannot boot the guest"
	tmpdir
	chmod 755 "$tmp"
	status=0
	tmp=$tmp unshare --mount --pid --fork --kill-child --uts --ipc --net --mount-proc bash "$0" inside || status=$?
	exit $status
fi

# --- inside: process 1 of the namespace ---

trap - EXIT     # our directory is that of the process outside

make_root() {
	local node
	mount --make-rprivate /
	mount -t tmpfs -o mode=755 tmpfs /run
	mount -t tmpfs -o mode=755 tmpfs /etc/libvirt
	mount -t tmpfs -o mode=755 tmpfs /var
	mkdir -p /run/lock /run/libvirt /var/lib/libvirt /var/log/libvirt/qemu /var/cache/libvirt
	mkdir -m 1777 /var/tmp
	ln -s /run /var/run
	mkdir -m 755 "$tmp/dev"
	mount -t tmpfs -o mode=755 tmpfs "$tmp/dev"
	for node in null zero full random urandom tty; do cp -a /dev/$node "$tmp/dev/"; done
	mkdir "$tmp/dev/pts" "$tmp/dev/shm"
	mount -t devpts -o newinstance,ptmxmode=0666 devpts "$tmp/dev/pts"
	mount -t tmpfs tmpfs "$tmp/dev/shm"
	ln -s pts/ptmx "$tmp/dev/ptmx"
	ln -s /proc/self/fd "$tmp/dev/fd"
	# libvirt moves each mount below /dev that it finds: the host's must not be hidden there
	umount --recursive --lazy /dev
	mount --move "$tmp/dev" /dev
	# the user that libvirt's package makes
	{ grep -v '^libvirt-qemu:' /etc/passwd; echo libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin; } >"$tmp/passwd"
	{ grep -v '^libvirt-qemu:' /etc/group; echo libvirt-qemu:x:64055:; } >"$tmp/group"
	chmod 644 "$tmp/passwd" "$tmp/group"
	mount --bind "$tmp/passwd" /etc/passwd
	mount --bind "$tmp/group" /etc/group
}

# QEMU runs as another user, confined as with the stock configuration
start_libvirtd() {
	cat >/etc/libvirt/libvirtd.conf <<-END
		auth_unix_rw="none"
		auth_unix_ro="none"
		unix_sock_group="nogroup"
		unix_sock_rw_perms="0770"
		log_outputs="3:file:$tmp/libvirtd.log"
	END
	echo 'cgroup_controllers = []' >/etc/libvirt/qemu.conf
	: >/etc/libvirt/virtlogd.conf
	[ -e /run/virtlogd.pid ] || virtlogd -d
	libvirtd -d -f /etc/libvirt/libvirtd.conf -p /run/libvirtd.pid
	for ((i = 0; i < 150; i++)); do
		virsh -q list >/dev/null 2>&1 && return
		sleep 0.2
	done
	cat "$tmp/libvirtd.log" >&2
	fail "libvirtd does not start"
}

# the state of the guest, as libvirt sees it
state() { virsh -q domstate web1; }

# is running or paused, within ten seconds
becomes() {
	for ((i = 0; i < 100; i++)); do
		[ "$(state)" != "$1" ] || return 0
		sleep 0.1
	done
	fail "the guest is $(state), not $1"
}

start_domain() {
	mkdir -m 755 "$tmp/boot"
	install -m 644 "$root"/build/guest/cache/x86_64/{kernel,initrd.gz} "$tmp/boot" 2>/dev/null ||
		install -m 644 "${GUEST_CACHE:?}"/x86_64/{kernel,initrd.gz} "$tmp/boot"
	cat >"$tmp/web1.xml" <<-END
		<domain type='qemu'>
		  <name>web1</name>
		  <uuid>6a0ef53c-0001-4222-8333-444455556666</uuid>
		  <memory unit='MiB'>256</memory>
		  <vcpu>2</vcpu>
		  <os><type arch='x86_64' machine='q35'>hvm</type>
		    <kernel>$tmp/boot/kernel</kernel><initrd>$tmp/boot/initrd.gz</initrd>
		    <cmdline>console=ttyS0 panic=-1</cmdline></os>
		  <features><acpi/><apic/><vmcoreinfo state='on'/></features>
		  <cpu mode='custom'><model>qemu64</model></cpu>
		  <devices>
		    <emulator>/usr/bin/qemu-system-x86_64</emulator>
		    <serial type='file'><source path='/var/log/libvirt/qemu/web1.console'/></serial>
		    <memballoon model='none'/>
		  </devices>
		</domain>
	END
	virsh -q create "$tmp/web1.xml"
	for ((i = 0; i < 1800; i++)); do
		! grep -qs GUEST-READY /var/log/libvirt/qemu/web1.console || return 0
		sleep 0.1
	done
	tail -n 5 /var/log/libvirt/qemu/web1.console >&2 || true
	fail "the guest does not boot"
}

make_root
start_libvirtd
daemon=$(cat /run/libvirtd.pid)
start_domain

same_daemon() {
	kill -0 "$daemon" 2>/dev/null || fail "libvirtd has ended: $(tail -n 3 "$tmp/libvirtd.log")"
}

cd "$tmp"
for part in ${PARTS:-full filter info paused indirect group kill stop daemon names watch}; do
	case $part in
	full)
		"$GUESTDUMP" dump -E libvirt:web1 run.elf 2>err || fail "$(cat err)"
		! grep -q warning err || fail "a warning: $(cat err)"
		grep -q "guest resumed after a pause" err || fail "no pause: $(cat err)"
		becomes running
		"$GUESTDUMP" verify -q run.elf >/dev/null
		;;
	filter)
		"$GUESTDUMP" dump -q -d 31 libvirt:6a0ef53c-0001-4222-8333-444455556666 small.kdump || fail "-d 31"
		"$GUESTDUMP" verify -q small.kdump >/dev/null
		[ "$(stat -c %s small.kdump)" -lt "$(($(stat -c %s run.elf) / 4))" ] || fail "nothing was omitted"
		becomes running
		;;
	info)
		"$GUESTDUMP" info libvirt:web1 >info.out
		grep -q 'kernel *Linux' info.out || fail "info: $(cat info.out)"
		grep -q 'CPU 1' info.out || fail "info: $(cat info.out)"
		"$GUESTDUMP" dmesg libvirt+qemu:///system:web1 >log
		grep -q 'Linux version' log || fail "no log"
		becomes running
		;;
	paused)         # equal to QEMU's own, and it stays paused
		virsh -q suspend web1
		virsh -q dump web1 own.elf --memory-only
		"$GUESTDUMP" dump -q -E --no-checksum --no-metadata libvirt:web1 paused.elf
		becomes paused
		"$GUESTDUMP" dump -q -E --no-checksum --no-metadata --no-direct libvirt:web1 indirect.elf 2>err || fail "$(cat err)"
		becomes paused
		"$GUESTDUMP" convert -q -E --no-checksum --no-metadata own.elf own2.elf
		for file in paused indirect; do
			"$GUESTDUMP" convert -q -E --no-checksum --no-metadata $file.elf $file-2.elf
			cmp own2.elf $file-2.elf || fail "$file.elf differs from QEMU's own dump"
		done
		virsh -q resume web1
		becomes running
		;;
	indirect)       # all memory out of libvirt's dump
		"$GUESTDUMP" dump -q --no-direct -d 31 libvirt:web1 indirect.kdump 2>err || fail "$(cat err)"
		"$GUESTDUMP" verify -q indirect.kdump >/dev/null
		becomes running
		;;
	group)          # a user who may only talk to libvirt
		mkdir -p user
		cp -L "$GUESTDUMP" "$(dirname "$GUESTDUMP")"/../lib/libguestdump.so.0 user/ 2>/dev/null || true
		chown -R 65534:65534 user
		as_user() {
			setpriv --reuid 65534 --regid 65534 --clear-groups \
				env LD_LIBRARY_PATH="$tmp/user" "$tmp/user/guestdump" "$@"
		}
		as_user dump -q -d 31 libvirt:web1 user/user.kdump 2>err || fail "as a user: $(cat err)"
		grep -q "libvirt itself must read the guest's memory, which is slower: process .* belongs to user" err ||
			fail "no warning: $(cat err)"
		"$GUESTDUMP" verify -q user/user.kdump >/dev/null
		as_user guests >guests.out 2>&1
		grep -q 'libvirt:web1 (pause, registers)' guests.out || fail "guests: $(cat guests.out)"
		becomes running
		;;
	kill)
		for ((n = 0; n < ${KILLS:-6}; n++)); do
			"$GUESTDUMP" dump -q --force libvirt:web1 killed.kdump 2>/dev/null &
			sleep "0.$((n * 13 % 90 + 10))"
			kill -9 $! 2>/dev/null || true
			wait $! 2>/dev/null || true
			becomes running
			virsh -q domjobinfo web1 | grep -q None || fail "a job remains: $(virsh domjobinfo web1)"
		done
		;;
	stop)           # the guard resumes the guest of a program that is stopped
		for way in "" --no-direct; do
			mkfifo held
			sleep 60 <held &
			reader=$!
			status=0
			"$GUESTDUMP" dump -E ${way:+"$way"} libvirt:web1 held 2>err &
			dumper=$!
			becomes paused
			sleep 1
			kill -STOP $dumper
			for ((n = 0; n < 40; n++)); do [ "$(state)" = paused ] || break; sleep 1; done
			becomes running
			kill $reader
			kill -CONT $dumper
			wait $dumper || status=$?
			[ $status = 1 ] || [ $status = 3 ] || fail "stopped $way: exit status $status: $(cat err)"
			grep -q 'resumed before all memory was read: guestdump was stopped for' err ||
				grep -q 'Broken pipe' err || fail "stopped $way: $(cat err)"
			cat err
			becomes running
			rm held
		done
		;;
	daemon)         # libvirtd is killed while its dump pauses the guest
		mkfifo slow
		{ sleep 4; cat >/dev/null; } <slow &
		reader=$!
		status=0
		"$GUESTDUMP" dump -q -E libvirt:web1 slow 2>err &
		dumper=$!
		becomes paused
		kill -9 "$daemon"
		sleep 1
		start_libvirtd
		daemon=$(cat /run/libvirtd.pid)
		becomes running
		wait $dumper || status=$?
		[ $status = 3 ] || [ $status = 1 ] || fail "exit status $status: $(cat err)"
		wait $reader
		becomes running
		;;
	names)
		"$GUESTDUMP" guests >guests.out
		grep -A1 '^web1 .* qemu .*256.0 MiB     2  running' guests.out | grep -q 'libvirt:web1 (pause, registers, direct)' ||
			fail "guests: $(cat guests.out)"
		"$GUESTDUMP" dump -q web1 byname.kdump || fail "not found by its name"
		fails_with 1 "$GUESTDUMP" info libvirt:nobody 2>err
		grep -q "no such guest" err || fail "$(cat err)"
		fails_with 1 "$GUESTDUMP" info libvirt+qemu+ssh://host/system:web1 2>err
		grep -q "another host: run guestdump there" err || fail "$(cat err)"
		fails_with 1 "$GUESTDUMP" dump --live libvirt:web1 live.kdump 2>err
		becomes running
		;;
	watch)          # through libvirt, which may be restarted meanwhile
		says() {
			for ((i = 0; i < 300; i++)); do
				! grep -q "$1" watch.log || return 0
				sleep 0.1
			done
			fail "watch does not say \"$1\": $(cat watch.log)"
		}
		"$GUESTDUMP" watch --store "$tmp/crash/%n/%H%M%S" --dump-level 31 --keep-free 0 --max-use 0 web1 2>watch.log &
		watch=$!
		says "web1: watched by libvirt:web1"
		kill -9 "$daemon"
		says "web1: not watched: .*libvirt"
		: >watch.log
		start_libvirtd
		daemon=$(cat /run/libvirtd.pid)
		says "web1: watched by libvirt:web1"
		kill -USR1 $watch
		says "web1: kept in"
		"$GUESTDUMP" verify -q crash/web1/*/vmcore >/dev/null || fail "the dump is not good"
		becomes running
		kill $watch
		wait $watch || fail "watch ended with status $?"
		;;
	esac
	same_daemon
	echo "$part: good"
done

# libvirt is well
virsh -q suspend web1
virsh -q resume web1
virsh -q dump web1 again.elf --memory-only
virsh -q save web1 /var/lib/libvirt/qemu/save/web1.save
virsh -q restore /var/lib/libvirt/qemu/save/web1.save
becomes running
virsh -q destroy web1
same_daemon
