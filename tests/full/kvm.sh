#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/full/kvm.sh - guests of KVM: VMMs that dump their own guests, and guests by the number of
# their process
#
# Where this machine has no /dev/kvm, a guest that QEMU emulates has one: its CPUs have AMD's SVM,
# Debian's kernel has the modules, and this machine's files are there, read-only.
# test: kvm 3600
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires_full
[ "$(uname -m)" = x86_64 ] || skip "is for hosts of x86_64"
requires qemu-system-x86_64 cpio
build=$(realpath "$(dirname "$GUESTDUMP")/..")
[ -x "$build/tests/vmm/test_pid" ] || fail "there is no $build/tests/vmm/test_pid"
tmpdir
mkdir -p "$tmp/tree/lib/kvm" "$tmp/share"

# in insmod's order
number=100
for module in $("$guest" modules x86_64 kvm-amd 9pnet_virtio 9p virtio_pci); do
	cp "$module" "$tmp/tree/lib/kvm/$((number++))-${module##*/}"
done
read -r _ _ cache < <("$guest" prepare x86_64)
cp "$cache/kernel" "$cache/initrd.gz" "$tmp/share"

share() { echo "local,path=$1,mount_tag=$2,security_model=none,multidevs=remap${3:-}"; }
start_guest host --mem 1536M --append mitigations=off --add "$tmp/tree" --wait 600 -- \
	-accel tcg,thread=multi -cpu max -virtfs "$(share / root ,readonly=on)" \
	-virtfs "$(share "$build" build ,readonly=on)" -virtfs "$(share "$tmp/share" share)"
export GUEST_TIMEOUT=1800

# A script, since the console has short lines only
cat >"$tmp/share/mount" <<'EOF'
set -e
for d in proc sys dev; do mount --bind /$d /h/$d; done
mount -t tmpfs tmp /h/tmp
mount -t tmpfs run /h/run
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro build /h/mnt
mount --bind /share /h/srv
EOF
guest_console 'for m in /lib/kvm/*.ko; do insmod $m || true; done; mkdir /h /share'
guest_console 'mount -t 9p -o trans=virtio,version=9p2000.L,cache=none share /share'
guest_console 'mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro root /h'
guest_console 'sh /share/mount; ls /dev/kvm' || fail "the guest has no KVM"

# A program that hangs reports where each of its threads is, in the kernel and in itself.
cat >"$tmp/share/limit" <<'EOF'
# sh limit SECONDS COMMAND...
end=$(($(date +%s) + $1))
shift
setsid "$@" &
session=$!
while kill -0 $session 2>/dev/null; do
	if [ "$(date +%s)" -ge $end ]; then
		for pid in $(ps -o pid= -s $session); do
			for task in /proc/$pid/task/*; do
				echo "$task: $(grep -E "^(Name|State|TracerPid|SigPnd|ShdPnd):" $task/status | tr "\\n\\t" "  ")"
				echo "system call: $(cat $task/syscall)"
				cat $task/stack
			done
			timeout 60 gdb -q -batch -ex "thread apply all backtrace" -p $pid 2>&1
		done
		kill -9 -$session
		echo "still runs after its time: $*"
		exit 124
	fi
	sleep 0.2
done
wait $session
EOF

# on_host SECONDS WORD...: run there; its output and status
on_host() { guest_console "chroot /h env HOME=/tmp sh /srv/limit $* 2>&1"; }

# The first virtual machine of a kernel, the first CPU without an APIC, and the last of each, switch
# static keys: the kernel rewrites its scheduler while that runs.  An emulated CPU may keep what was
# there for an instant, an int3, for good, and then hangs; so there is always one of each.
cat >"$tmp/share/hold" <<'EOF'
import fcntl, os, time
kvm = os.open("/dev/kvm", os.O_RDWR)
vm = fcntl.ioctl(kvm, 0xae01, 0)
cpu = fcntl.ioctl(vm, 0xae41, 0)
print("held", flush=True)
time.sleep(1e6)
EOF
guest_console 'chroot /h setsid /usr/bin/python3 /srv/hold >/share/held 2>&1 </dev/null & sleep 1'
for ((i = 0; i < 120; i++)); do
	! grep -qs held "$tmp/share/held" || break
	sleep 1
done
grep -q held "$tmp/share/held" || fail "no virtual machine: $(cat "$tmp/share/held")"

for test in kvm pid; do
	on_host 300 "/mnt/tests/vmm/test_$test" >"$tmp/out" || fail "test_$test: $(cat "$tmp/out")"
done

cp "$root/tests/tools/registers.py" "$tmp/share"
cat >"$tmp/share/qemu" <<'EOF'
# a guest of QEMU and KVM: what pid: reads is what QEMU dumps
set -e
gd=/mnt/tool/guestdump
cd /tmp
setsid qemu-system-x86_64 -accel kvm -cpu host -m 192M -smp 2 -display none -nodefaults -no-reboot \
	-chardev socket,id=con,path=/tmp/con,server=on,wait=off,logfile=console -serial chardev:con \
	-qmp unix:/tmp/qmp,server=on,wait=off -pidfile pid \
	-kernel /srv/kernel -initrd /srv/initrd.gz \
	-append "console=ttyS0 panic=-1 mitigations=off" >qemu.log 2>&1 </dev/null &
for i in $(seq 600); do
	! grep -aqs GUEST-READY console || break
	sleep 1
done
tail -n 1 console
guest=pid:$(cat pid)
$gd dump -q -d 31 "$guest" small.kdump
$gd verify -q small.kdump
$gd info --json small.kdump >info.json
python3 -c '
import json
info = json.load(open("info.json"))
assert len(info["cpus"]) == 2, info["cpus"]
for cpu in info["cpus"]:
    assert int(cpu["registers"]["rip"], 16), cpu
assert info["kernel_release"] and info["running_tasks"], info'
$gd dmesg "$guest" | grep -q "Linux version"
for way in "$guest" "--live $guest" qmp:/tmp/qmp "--live qmp:/tmp/qmp"; do
	# shellcheck disable=SC2086 # two words
	$gd dump --force --progress plain $way pause.kdump 2>pause.err
	sed -n "s|.*after a pause of \(.*\)|$way: pause of \1|p" pause.err
done
! python3 -c "import drgn" 2>/dev/null || python3 -c "import drgn
prog = drgn.Program()
prog.set_core_dump('small.kdump')
assert prog.flags & drgn.ProgramFlags.IS_LINUX_KERNEL
print('drgn:', prog['UTS_RELEASE'].string_().decode())"

# halted for good, it has the same registers and memory whoever reads them
python3 -c "import socket
s = socket.socket(socket.AF_UNIX)
s.connect('/tmp/con')
s.sendall(b'\\nsync; halt -f\\n')
s.recv(1)"
for i in $(seq 300); do
	! grep -aqs "System halted" console || break
	sleep 1
done
sleep 2
$gd dump -q -E --no-metadata "$guest" halted.elf
$gd dump -q -E --no-metadata --live "$guest" live.elf
cmp halted.elf live.elf
rm live.elf
$gd info --json halted.elf >halted.json
python3 /srv/registers.py /tmp/qmp halted.json
rm halted.elf
printf "%s\n" '{"execute":"qmp_capabilities"}' '{"execute":"stop"}' |
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("/tmp/qmp")
f = s.makefile("rw")
for line in sys.stdin:
    f.write(line)
    f.flush()
    while "return" not in f.readline():
        pass'
# paused by QEMU, its CPUs are not in KVM
status=0
$gd dump -q -E "$guest" pid.elf || status=$?
[ $status = 3 ]
$gd dump -q -E qmp:/tmp/qmp qmp.elf
for f in pid qmp; do
	$gd convert -q -f raw $f.elf $f.raw
	rm $f.elf
done
cmp pid.raw qmp.raw
kill "$(cat pid)"
EOF
on_host 1500 sh /srv/qemu >"$tmp/out" || fail "a guest of QEMU and KVM: $(cat "$tmp/out")"
# how long the guest was paused, by process and by QEMU
grep 'pause of\|^drgn\|are those of QEMU' "$tmp/out" || true
