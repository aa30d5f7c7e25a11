"""Programs that try to break each layer of the sandbox, and what must become of each.

Run as a script it attacks as whatever user it runs as and prints one line of JSON: the report and
what went wrong. Every attack is bounded, so that it does no harm where it works.
"""

# ruff: noqa: E501

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from grpo_core.rewards._sandbox import Limits, run, run_python
from grpo_core.rewards._sandbox._report import LAYERS

# Prints `held` where all that it tries is refused, and what was not refused otherwise.
PRELUDE = """
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
got = []
def tries(name, act, *arguments):
    try:
        result = act(*arguments)
    except (OSError, ValueError, OverflowError):
        return
    if type(result) is int and result < 0:
        return
    got.append(name)
def done():
    print(got or "held")
"""

# name: (program, status, whether it must print "held")
ATTACKS = {
    "sockets": ("""
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 16, 17):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        tries(f"socket {family} {kind}", socket.socket, family, kind)
tries("datagram pair", socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM)
a, b = socket.socketpair()
for act in (lambda: a.connect("/dev/log"), lambda: a.bind("x"), lambda: a.listen(1), a.accept):
    tries("call on a pair", act)
done()
""", "exited", True),
    "files of the machine": ("""
tries("secret", open, SECRET)
tries("directory of the secret", os.listdir, os.path.dirname(SECRET))
for path in ("/etc/shadow", "/etc/hostname", "/root/.bashrc", "/proc/1/environ", "/proc/1/mem",
             f"/proc/{TRAINER}/environ", f"/proc/{TRAINER}/cmdline", f"/proc/{TRAINER}/mem",
             f"/proc/{TRAINER}/root/etc/hostname", f"/proc/{TRAINER}/fd/0"):
    tries(path, open, path)
os.symlink(SECRET, "link")
tries("through a link", open, "link")
tries("hard link", os.link, SECRET, "hard")
done()
""", "exited", True),
    "writing elsewhere": ("""
for path in ("/tmp", "/var/tmp", "/dev/shm", "/", "/etc", "/usr/lib", os.path.dirname(SECRET),
             "/run", "/proc/sys/kernel/hostname", "/sys/fs/cgroup", os.path.dirname(os.getcwd())):
    if path == "/dev/shm" and os.path.islink(path):
        continue  # a link to the program's own directory
    tries(path, open, path + "/planted", "w")
    tries(path, os.mkdir, path + "/planted.d")
for path in ("/proc/self/oom_score_adj", "/proc/sys/kernel/core_pattern", "/dev/kmsg", "/dev/tty"):
    tries(path, lambda: open(path, "w").write("0"))
tries("chmod", os.chmod, SECRET, 0o777)
done()
""", "exited", True),
    "signals": ("""
for victim in (VICTIM, TRAINER, os.getppid()):
    if victim > 1:
        tries(f"signal {victim}", os.kill, victim, 0)
        tries(f"group {victim}", os.killpg, victim, 0)
        tries(f"queue {victim}", lambda: libc.syscall(129, victim, 0, None))
        tries(f"pidfd {victim}", lambda: libc.syscall(424, libc.syscall(434, victim, 0), 0, None, 0))
done()
""", "exited", True),
    "limits of others": ("""
import resource
for victim in (VICTIM, TRAINER):
    tries("prlimit", resource.prlimit, victim, resource.RLIMIT_CPU, (1, 1))
    tries("affinity", os.sched_setaffinity, victim, {0})
    tries("priority", os.setpriority, os.PRIO_PROCESS, victim, 19)
    tries("scheduler", os.sched_setscheduler, victim, os.SCHED_BATCH, os.sched_param(0))
done()
""", "exited", True),
    "owner of a signal": ("""
import fcntl
r, w = os.pipe()
tries("F_SETOWN", fcntl.fcntl, r, fcntl.F_SETOWN, os.getpid())
done()
""", "exited", True),
    "calls refused": ("""
numbers = dict(shmget=(29, 0, 4096, 0o1600), msgget=(68, 0, 0o1600), semget=(64, 0, 1, 0o1600),
    mq_open=(240, b"/x", 0o102, 0o600, None), keyctl=(250, 0, -3, 0), userfaultfd=(323, 0),
    perf=(298, None, 0, -1, -1, 0), io_uring=(425, 8, None), clone3=(435, None, 0),
    adjtimex=(159, None), personality=(135, 0x0040000), chroot=(161, b"."))
for name, call in numbers.items():
    ctypes.set_errno(0)
    tries(name, lambda: libc.syscall(*call))
    if ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
        got.append((name, ctypes.get_errno()))
done()
""", "exited", True),
    "becoming another user": ("""
tries("setuid", os.setuid, 0 if os.getuid() else 1)
tries("setgroups", os.setgroups, [0])
tries("chown", os.chown, "main.py", 0 if os.getuid() else 1, -1)
tries("mknod", os.mknod, "device", 0o20666, os.makedev(1, 1))
done()
""", "exited", True),
    "ptrace": ("libc.ptrace(16, VICTIM, 0, 0); done()", "forbidden", False),
    "reading memory of others": ("libc.syscall(310, VICTIM, 0, 0, 0, 0, 0)", "forbidden", False),
    "a user namespace": ("libc.unshare(0x10000000)", "forbidden", False),
    "a user namespace by clone": ("libc.syscall(56, 0x10000011, 0, 0, 0, 0)", "forbidden", False),
    "mount": ("libc.mount(b'x', b'.', b'tmpfs', 0, None)", "forbidden", False),
    "bpf": ("libc.syscall(321, 0, 0, 0)", "forbidden", False),
    "32-bit numbers": ("libc.syscall(0x40000000 + 39)", "forbidden", False),
    "descriptors": ("""
import stat
for descriptor in range(3, 1024):
    tries(f"descriptor {descriptor}", os.fstat, descriptor)
done()
""", "exited", True),
    "environment": ("""
text = repr(os.environ) + repr(sys.argv) + repr(sys.orig_argv)
tries("canary", text.index, "CANARY")
for name in ("environ", "cmdline"):
    try:
        tries("canary", open(f"/proc/self/{name}").read().index, "CANARY")
    except OSError:
        pass
done()
""", "exited", True),
    "many processes": ("""
made, held = 0, False
for _ in range(120):
    try:
        child = os.fork()
    except OSError:
        held = True
        break
    if child == 0:
        import time; time.sleep(30); os._exit(0)
    made += 1
print("held" if held and made <= 50 else made)
""", "exited", True),
    "many threads": ("""
import threading, time
made, held = 0, False
for _ in range(120):
    try:
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    except RuntimeError:
        held = True
        break
    made += 1
print("held" if held and made <= 50 else made, flush=True)
os._exit(0)
""", "exited", True),
    "memory": ("x = b'x' * (400 << 20); import time; time.sleep(1); print(len(x))", "memory", False),
    "memory of a group": ("""
import time
for _ in range(4):
    if os.fork() == 0:
        x = b"x" * (70 << 20); time.sleep(3); os._exit(0)
time.sleep(3)
print("not held")
""", "memory", False),
    "shared memory": ("""
import mmap, time
m = mmap.mmap(-1, 400 << 20)
for i in range(0, len(m), 4096): m[i] = 1
time.sleep(1)
print("not held")
""", "memory", False),
    "output": ("while True: os.write(1, b'x' * 65536)", "output_limit", False),
    "a large file": ("""
written = 0
try:
    with open("large", "wb") as file:
        for _ in range(64): written += file.write(b"x" * (1 << 20))
except OSError:
    pass
print("held" if os.path.getsize("large") <= 8 << 20 else written)
""", "exited", True),
    "sleep": ("import time; time.sleep(60)", "timeout", False),
    "loop": ("while True: pass", "timeout", False),
    "signals ignored": ("""
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
""", "timeout", False),
    "a daemon that holds the output": ("""
import time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
print("held")
""", "exited", True),
    "a tree of daemons": ("""
import time
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
print("held") if os.getppid() else None
sys.stdout.flush()
time.sleep(0.1)
""", "exited", False),
    "terminal input": ("import fcntl; tries('TIOCSTI', fcntl.ioctl, 0, 0x5412, b'x'); done()", "exited", True),
    "a directory that cannot be removed": ("""
os.makedirs("a/b/c"); open("a/b/c/f", "w").close()
os.symlink(os.path.dirname(SECRET), "a/out")
os.symlink("/", "root")
os.mkfifo("fifo")
here = os.getcwd()
for _ in range(400):
    os.mkdir("d"); os.chdir("d")
os.chdir(here)
for path in ("a/b/c", "a/b", "a", "."):
    try:
        os.chmod(path, 0)
    except PermissionError:
        pass  # where files of others have the same owner
print("held")
""", "exited", True),
}  # fmt: skip
LIMITS = Limits(
    wall_seconds=10, memory_mb=200, output_bytes=100_000, file_bytes=8 << 20, processes=40
)


def assault(layers=LAYERS, names=ATTACKS, allow_weak=False, runner="fork server"):
    """What went wrong, by name of the attack; nothing if every layer holds."""
    wrong = {}
    victim = subprocess.Popen(["sleep", "120"])
    os.environ["GRPO_TEST_CANARY"] = "CANARY"
    with tempfile.TemporaryDirectory() as directory:
        secret = Path(directory, "expected")
        secret.write_text("42")
        Path(directory).chmod(0o755)
        names_ = f"SECRET, VICTIM, TRAINER = {str(secret)!r}, {victim.pid}, {os.getpid()}\n"
        for name in names:
            program, status, prints = ATTACKS[name]
            source = (PRELUDE + names_ + program).encode()
            limits = LIMITS if status != "timeout" else Limits(wall_seconds=0.4)
            start = time.monotonic()
            if runner == "fork server":
                got = run_python(source, limits=limits, layers=layers, allow_weak=allow_weak)
            else:
                command = ["python3", "main.py"]
                files = {"main.py": source}
                got = run(command, files=files, limits=limits, layers=layers, allow_weak=allow_weak)
            took = time.monotonic() - start
            stopped = got.detail == "more processes than allowed"  # where they are only counted
            held = got.status == status and (not prints or got.stdout == b"held\n")
            if not held and not stopped:
                wrong[name] = f"{got.status} {got.code} {got.stdout[:200]!r} {got.detail}"
            if took > limits.wall_seconds + 2:
                wrong[f"{name}: time"] = took
        if secret.read_text() != "42" or list(Path(directory).iterdir()) != [secret]:
            wrong["secret"] = sorted(map(str, Path(directory).iterdir()))
        if victim.poll() is not None:
            wrong["victim"] = victim.returncode
    victim.kill()
    victim.wait()
    return wrong


if __name__ == "__main__":
    if len(sys.argv) > 2:
        os.setgroups([])
        os.setgid(int(sys.argv[2]))
        os.setuid(int(sys.argv[2]))
    print(json.dumps(assault(tuple(sys.argv[1].split(",")))))
