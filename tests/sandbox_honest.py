"""Programs that do nothing wrong, in every way in which programs read, write and end."""

# ruff: noqa: E501, ERA001, ISC004

# name: (program, input, output)
HONEST = {
    "input": (b"print(input() + input())", b"a\nb\n", b"ab\n"),
    "open(0)": (b"print(open(0).read().split())", b"1 2", b"['1', '2']\n"),
    "open(0) as bytes": (b"print(len(open(0, 'rb').read()))", b"\xff\x00x", b"3\n"),
    "stdin.buffer": (b"import sys; print(sys.stdin.buffer.read())", b"\xff", b"b'\\xff'\n"),
    "stdin twice": (b"import sys; a = input(); print(a, sys.stdin.readlines())", b"x\ny\n", b"x ['y\\n']\n"),
    "os.read": (b"import os; os.write(1, os.read(0, 100))", b"raw", b"raw"),
    "/dev/stdin": (b"print(open('/dev/stdin').read())", b"x", b"x\n"),
    "/dev/stdout": (b"open('/dev/stdout', 'w').write('x')", b"", b"x"),
    "mmap of stdin": (b"import mmap; print(mmap.mmap(0, 0, access=mmap.ACCESS_READ)[:2])", b"abc", b"b'ab'\n"),
    "end of input": (b"try: input()\nexcept EOFError: print('end')", b"", b"end\n"),
    "surrogates": (b"print(ascii(input()))", b"\xff\n", b"'\\udcff'\n"),
    "no flush": (b"import sys; sys.stdout.write('x')", b"", b"x"),
    "file on 1, left open": (b"f = open(1, 'w'); f.write('x')", b"", b"x"),
    "stdout replaced": (b"import io, sys; sys.stdout = io.TextIOWrapper(open(1, 'wb')); print('x')", b"", b"x\n"),
    "buffer at exit": (
        b"import atexit, io, os, sys\nb = io.StringIO(); sys.stdout = b\n"
        b"atexit.register(lambda: os.write(1, b.getvalue().encode()))\nprint('x')",
        b"", b"x\n",
    ),
    "exit": (b"print(1); exit()", b"", b"1\n"),
    "quit": (b"print(1); quit(0)", b"", b"1\n"),
    "sys.exit": (b"import sys; print(1); sys.exit()", b"", b"1\n"),
    "os._exit": (b"import os; print(1, flush=True); os._exit(0)", b"", b"1\n"),
    "main": (b"if __name__ == '__main__': print(__file__[-8:])", b"", b"/main.py\n"),
    "its own text": (b"print(len(open(__file__).read()))", b"", b"33\n"),
    "globals in functions": (b"x = 1\ndef f():\n global x\n x += 1\nf(); print(x)", b"", b"2\n"),
    "pickle of its own class": (
        b"import pickle\nclass A: x = 3\nprint(pickle.loads(pickle.dumps(A())).x)", b"", b"3\n",
    ),
    "dataclass": (
        b"from dataclasses import dataclass\n@dataclass\nclass A:\n x: int\nprint(A(1))", b"", b"A(x=1)\n",
    ),
    "threads": (
        b"import threading\nr = []\nt = [threading.Thread(target=r.append, args=(i,)) for i in range(8)]\n"
        b"[x.start() for x in t]; [x.join() for x in t]; print(sum(r))", b"", b"28\n",
    ),
    "a thread that goes on": (
        b"import threading, time\nthreading.Thread(target=lambda: (time.sleep(.1), print('late'))).start()",
        b"", b"late\n",
    ),
    "deep recursion": (
        b"import sys, threading\nsys.setrecursionlimit(10**6); threading.stack_size(256 << 20)\n"
        b"def f(n): return n and 1 + f(n - 1)\n"
        b"t = threading.Thread(target=lambda: print(f(100000))); t.start(); t.join()", b"", b"100000\n",
    ),
    "deep recursion in main": (
        b"import sys; sys.setrecursionlimit(10**6)\ndef f(n): return n and 1 + f(n - 1)\nprint(f(50000))",
        b"", b"50000\n",
    ),
    "recursion through C": (
        b"import sys, functools; sys.setrecursionlimit(10**5)\n@functools.cache\n"
        b"def f(n): return n and 1 + f(n - 1)\nprint(f(5000))", b"", b"5000\n",
    ),
    "asyncio": (
        b"import asyncio\nasync def f(): await asyncio.sleep(0); return 5\nprint(asyncio.run(f()))", b"", b"5\n",
    ),
    "imports": (b"import asyncio, multiprocessing, threading, concurrent.futures, socket, ssl, ctypes; print(1)", b"", b"1\n"),
    "thread pool": (
        b"from concurrent.futures import ThreadPoolExecutor as P\nprint(sum(P(4).map(abs, range(9))))",
        b"", b"36\n",
    ),
    "child": (b"import subprocess; print(subprocess.check_output(['echo', 'x']))", b"", b"b'x\\n'\n"),
    "fork and wait": (
        b"import os\nif os.fork() == 0: os._exit(3)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))", b"", b"3\n",
    ),
    "temporary file": (
        b"import tempfile\nwith tempfile.TemporaryFile() as f: f.write(b'x'); f.seek(0); print(f.read())",
        b"", b"b'x'\n",
    ),
    "random differs": (b"import random; print(len({random.random() for _ in range(3)}))", b"", b"3\n"),
    "alarm": (
        b"import signal, time\nsignal.signal(14, lambda *_: print('rang'))\nsignal.setitimer(0, .05); time.sleep(.2)",
        b"", b"rang\n",
    ),
    "own handler": (
        b"import os, signal\nsignal.signal(15, lambda *_: print('term'))\nos.kill(os.getpid(), 15)", b"", b"term\n",
    ),
    "interrupt": (
        b"import os, time\ntry:\n os.kill(os.getpid(), 2); time.sleep(1)\nexcept KeyboardInterrupt: print('yes')",
        b"", b"yes\n",
    ),
    "limits of memory respected": (b"x = bytearray(200 << 20); x[::4096] = b'x' * len(x[::4096]); print(1)", b"", b"1\n"),
    "a large answer": (b"print('x' * 900000)", b"", b"x" * 900000 + b"\n"),
}  # fmt: skip
