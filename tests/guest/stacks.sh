#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# tests/guest/stacks.sh ARCH [OPTION...] - the stacks of all tasks that sleep are those that the
# guest's kernel shows in /proc/PID/stack, of the running guest and of dumps; and after a panic, the
# stack of the CPU is the one in the log
#
# test: stacks 600 x86_64
# test: stacks-search 600 x86_64 --no-vmcoreinfo
# test: stacks-aarch64 600 aarch64@trixie
# test: stacks-ppc64le 600 ppc64le@trixie
# test: stacks-riscv64 600 riscv64
# test: stacks-s390x 600 s390x@trixie
# test: stacks-x86_64-next 600 x86_64@trixie
set -euo pipefail
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

arch=$1
shift
[ "$arch" = x86_64 ] || requires_full
requires python3
tmpdir
mkdir -p "$tmp/tree"
mapfile -t modules < <("$guest" modules "$arch" pktgen)
[ ${#modules[@]} = 0 ] || cp "${modules[@]}" "$tmp/tree"
start_guest vm --arch "$arch" --append panic=0 --add "$tmp/tree" "$@"
cd "$tmp"

# guest_stacks FILE: the names and stacks of all tasks, each after "==> PATH <=="
guest_stacks() {
	GUEST_TIMEOUT=200 guest_console \
		'head -n 100 /proc/[0-9]*/task/[0-9]*/comm /proc/[0-9]*/task/[0-9]*/stack 2>/dev/null' >"$1"
}

# same_stacks BEFORE JSON AFTER: of tasks whose stack was the same before and after
same_stacks() {
	python3 - "$@" <<'PYTHON'
import json
import re
import sys

def inside(path):
    stacks, names = {}, {}
    for line in open(path):
        head = re.match(r"==> /proc/\d+/task/(\d+)/(\w+) <==", line)
        if head:
            pid, what = int(head[1]), head[2]
            if what == "stack":
                stacks[pid] = []
        elif line.startswith("[<") and what == "stack":
            frame = line.split("] ", 1)[1].strip()
            # where an interrupt came, or a process is
            if not frame.startswith("0x"):
                stacks[pid].append(frame)
        elif line.strip() and what == "comm":
            names[pid] = line.strip()
    # POWER's kernel prints a stale return address before the first one of some tasks
    for stack in stacks.values():
        if len(stack) > 1 and stack[1].startswith("__switch_to+"):
            del stack[0]
    return {pid: stacks[pid] for pid in stacks if pid in names}, names

def text(frame):
    module = " [%s]" % frame["module"] if frame["module"] else ""
    return "%s+%#x/%#x%s" % (frame["function"], frame["offset"], frame["size"], module)

(before, names), (after, _) = inside(sys.argv[1]), inside(sys.argv[3])
sched = [int(line.split()[0], 16) for line in open("sched")]
# the guest does not show the scheduler's own functions, nor user space
outside = {}
for line in open(sys.argv[2]):
    stack = json.loads(line)
    if stack["cpu"] is None:
        outside[stack["task"]["pid"]] = [
            text(f) for f in stack["frames"] if f["kind"] not in ("user", "guess") and
            not sched[0] <= int(f["address"], 16) < sched[1]]
good, bad, frames = 0, [], 0
for pid, stack in before.items():
    if pid not in outside or after.get(pid) != stack:
        continue
    if outside[pid] == stack:
        good += 1
        frames += len(stack)
    # they run whenever somebody looks
    elif not re.match("sh$|cat$|rcu_|kworker|ksoftirqd|kauditd", names[pid]):
        bad.append("%d %s:\n  inside  %s\n  outside %s" % (pid, names[pid], stack, outside[pid]))
print("%d tasks with %d frames, %d differ" % (good, frames, len(bad)))
print("\n".join(bad))
needed = {"sleeper", "reader", "kthreadd"} - {names[pid] for pid in before if outside.get(pid) == before[pid]}
if needed:
    sys.exit("the stacks of %s are not the same" % needed)
if open("modules").read().strip() and not any(
        "[pktgen]" in frame for stack in outside.values() for frame in stack):
    sys.exit("no function of the module")
sys.exit(good < 30 or len(bad) * 100 > good)
PYTHON
}

# shellcheck disable=SC2016 # for the guest's shell
guest_console 'for m in /*.ko; do [ -e $m ] && insmod $m; done; mkfifo /tmp/f
	sh -c "printf sleeper >/proc/self/comm; sleep 9999; :" >/dev/null 2>&1 &
	sh -c "printf reader >/proc/self/comm; read x </tmp/f" >/dev/null 2>&1 &
	(sleep 9999 | cat | (flock /tmp/canary sleep 9999)) >/dev/null 2>&1 &
	flock -x /tmp/canary sleep 9999 >/dev/null 2>&1 &' >setup.out
guest_console 'grep " __sched_text_" /proc/kallsyms' >sched.all
awk '/start/ { a = $1 } /end/ { b = $1 } END { print a; print b }' sched.all >sched
guest_console 'lsmod | grep pktgen' >modules || true
guest_stacks before
guestdump_json stacks --all --json "$guest_source" >live.json
guest_stacks after
same_stacks before live.json after || fail "the running guest: not its stacks"
[ "$(guest_status)" = running ] || fail "stacks leaves the guest $(guest_status)"

# of one moment
guestdump_json stacks --pause -a --json "$guest_source" >paused.json
[ "$(guest_status)" = running ] || fail "stacks --pause leaves the guest $(guest_status)"
same_stacks before paused.json after || fail "the paused guest: not its stacks"
"$guest" qmp "$guest_dir" stop >stop.out
"$GUESTDUMP" stacks -a "$guest_source" >live.txt
"$GUESTDUMP" stacks "$guest_source" >few.txt
"$GUESTDUMP" stacks --cpu 1 "$guest_source" >cpu.txt
"$GUESTDUMP" dump -q -d 31 "$guest_source" kdump
"$GUESTDUMP" dump -q -E "$guest_source" elf
"$guest" qmp "$guest_dir" cont >cont.out
for file in kdump elf; do
	"$GUESTDUMP" stacks -a $file | diff live.txt - >diff.out || fail "$file: $(cat diff.out)"
done
# both CPUs first, then whatever is blocked
if ! grep -q '^task ' few.txt; then
	"$GUESTDUMP" stacks --blocked kdump >blocked.txt 2>err
	[ ! -s blocked.txt ] && grep -qx 'guestdump: no task is blocked (state D)' err || fail "--blocked: $(cat blocked.txt err)"
fi
[ "$(grep -c '^CPU [01] runs ' few.txt)" = 2 ] || fail "not two CPUs: $(cat few.txt)"
sed -n '/^CPU 1/,$p' few.txt | sed '/^task/,$d' | diff - cpu.txt || fail "--cpu 1: $(cat cpu.txt)"
pid=$(sed -n 's/^task \([0-9]*\) sleeper,.*/\1/p' live.txt)
"$GUESTDUMP" stacks --task "$pid" kdump >task.txt
grep -q '^    user space 0x' task.txt || [ "$arch" != x86_64 ] || fail "no process: $(cat task.txt)"
fails_with 2 "$GUESTDUMP" stacks --task 99999 kdump 2>err
grep -q 'there is no task 99999$' err || fail "a task that is not there: $(cat err)"
fails_with 2 "$GUESTDUMP" stacks --cpu 7 kdump 2>err
grep -q 'there is no CPU 7$' err || fail "a CPU that is not there: $(cat err)"
# without registers, the tasks remain
"$GUESTDUMP" convert -q -f raw elf raw
"$GUESTDUMP" stacks -a raw >raw.txt || fail "raw: $(tail -n 1 raw.txt)"
diff <(sed -n '/^task/,$p' live.txt) <(sed -n '/^task/,$p' raw.txt) >diff.out || fail "raw: $(cat diff.out)"

# QEMU ends with a guest that panics there
case $arch in s390x* | ppc64le*) exit 0 ;; esac

# A panic: from the function that caused it on, the stack is that of the log
"$guest" console "$guest_dir" 'echo c >/proc/sysrq-trigger' >panic.out 2>&1 &
asked=$!
cleanup_fn kill "$asked" 2>/dev/null
for ((i = 0; i < 600; i++)); do
	grep -aq 'end Kernel panic' "$guest_dir/console.log" && break
	sleep 0.1
done
"$GUESTDUMP" dmesg "$guest_source" >log
guestdump_json stacks --json "$guest_source" >panic.json
python3 - <<'PYTHON' || fail "the stack of the panic differs: see above"
import json
import re
import sys
log = open("log").read()
trace = re.findall(r"\] +(?:\[<\w+>\] )?(?:\[\w+\] \[\w+\] )?([a-z_]\w+)(?:\.\w+)*\+0x\w+/0x\w+", log[log.rindex("sysrq: Trigger a crash"):], re.I)
for line in open("panic.json"):
    stack = json.loads(line)
    names = [f["function"].split(".")[0] for f in stack["frames"] if f["kind"] == "call" and f["function"]]
    if "sysrq_handle_crash" in names:
        break
else:
    sys.exit("no CPU is in sysrq_handle_crash: %s" % open("panic.json").read())
names = names[names.index("__handle_sysrq"):]
rest = trace[trace.index("__handle_sysrq"):][:len(names)]
print(names)
if rest[:8] != names[:8] or len(names) < 5:
    sys.exit("the log has %s" % rest)
PYTHON
