"""Makes the recordings in `files/` again: real programs on a pseudo-terminal, with keys typed and the size changed.

Run it where it sees nothing of the computer it is made on:
`unshare -pfmu --mount-proc sh -c "hostname snapvm; python3 agent/tests/recordings/record.py"`.

Each is two files: NAME.raw, what the program wrote, and NAME.json: {"size": [columns, rows], "resizes": [[offset,
columns, rows]]}. Needs vim, htop, top, less, tmux and nano. They are data, not locked output: another version of a
program writes other bytes, and all of them must pass.
"""

import fcntl, json, os, pathlib, pty, select, signal, struct, sys, termios, time

HERE = pathlib.Path(__file__).parent / "files"
LONGEST = 60_000


def resize(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def record(name, command, steps, size=(80, 24), environment=None):
    """Each step is keys to type, a size to change to, or seconds to wait; the program's output is taken meanwhile."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir("/tmp")
        os.environ.update({"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLORTERM": "truecolor", "HOME": "/tmp", "PS1": "$ "})
        os.environ.update(environment or {})
        os.execvp(command[0], command)
    resize(fd, *size)
    raw, resizes = bytearray(), []

    def take(seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([fd], [], [], left)[0]:
                continue
            try:
                data = os.read(fd, 4096)
            except OSError:
                return
            if not data:
                return
            raw.extend(data)

    take(0.7)
    for step in steps:
        if isinstance(step, str):
            os.write(fd, step.encode())
            take(0.3)
        elif isinstance(step, tuple):
            resizes.append([len(raw), *step])
            resize(fd, *step)
            take(0.5)
        else:
            take(step)
    os.kill(pid, signal.SIGKILL)
    os.close(fd)
    os.waitpid(pid, 0)
    raw = raw[:LONGEST]
    resizes = [change for change in resizes if change[0] <= len(raw)]
    (HERE / f"{name}.raw").write_bytes(raw)
    (HERE / f"{name}.json").write_text(json.dumps({"size": list(size), "resizes": resizes}) + "\n")
    print(f"{name}: {len(raw)} bytes, {len(resizes)} resizes")


TEXT = "/tmp/recorded.txt"
PROGRESS = """
import sys, time
for n in range(101):
    sys.stdout.write(f"\\r\\x1b[K[{'#' * (n // 3):<34}] {n:3}% \\x1b[32m{n * 7} MB\\x1b[0m")
    sys.stdout.flush(); time.sleep(0.005)
print("\\ndone")
for n in range(300): print(f"line {n} of what was built \\x1b[{31 + n % 7}mcoloured\\x1b[0m \\x1b[1;4;38;5;{n % 256}mbold\\x1b[m")
"""
WIDE = """
import sys
print("漢字カナ ｗｉｄｅ e\\u0301 한글 ─┼─ ✓")
for n in range(60): print("界" * (n % 45) + "|" + "e\\u0301" * (n % 9))
sys.stdout.write("\\x1b[5;10H漢\\x1b[5;11HX\\x1b[10;79H界界\\x1b[12;80Hé")
"""
EMOJI = """
print("🦀🚀|👍👍|")
for n in range(30): print("é" * (n % 9) + "👍" * (n % 5) + "|")
"""
TABS = """
import sys
sys.stdout.write("\\x1b[3g\\x1b[7G\\x1bH\\x1b[1G")
for n in range(40): print(n)
sys.stdout.write("\\tT")
"""
MODES = """
import sys
w = sys.stdout.write
for n in range(120): print("before", n, "x" * (n % 100))
w("\\x1b]2;a title\\x07\\x1b[?2004h\\x1b[?1h\\x1b=\\x1b[?1002h\\x1b[?1006h\\x1b[?25l\\x1b[3 q\\x1b[4h\\x1b[5;15r\\x1b[?6h\\x1b[2;3Hin region")
w("\\x1b7\\x1b[38;2;1;200;30m\\x1b[48;5;17m\\x1b[3;9mstyled\\x1b8\\x1b[4l")
w("\\x1b(0lqqqk\\x1b(B \\x1b)0\\x0exqx\\x0f")
w("\\x1b[?1049h\\x1b[Hon the other screen\\x1b[10;10H\\x1b[7malternate\\x1b[0m")
for n in range(40): w(f"\\r\\nrow {n}")
w("\\x1b[?1049l\\x1b[?6l\\x1b[r\\x1b[20;1Hback\\x1b[?25h\\x1b[?7l" + "y" * 200 + "\\x1b[?7h\\r\\nlast")
"""


def main():
    HERE.mkdir(exist_ok=True)
    # What an editor that was killed left behind.
    pathlib.Path("/tmp/.recorded.txt.swp").unlink(missing_ok=True)
    pathlib.Path(TEXT).write_text("".join(f"{n:4} the quick brown fox {'jumps ' * (n % 12)}漢字\n" for n in range(400)))
    shell = ["bash", "--norc", "--noprofile", "-i"]
    python = lambda text: ["python3", "-u", "-c", text]
    record("shell", shell, ["ls -la --color=always /usr/bin | head -80\r", "for i in $(seq 60); do echo $i; done\r", (100, 30), "printf '\\e[1mbold\\e[m'; echo abc\x7f\x7f\r", (60, 15), "seq 30\r"])
    record("vim", ["vim", "-n", "-u", "NONE", "-N", TEXT], ["\x06\x06", ":set number\r", ":split\r", "GOinserted 漢字 text\x1b", (100, 30), "/fox\r", "nn", (70, 20), ":wqa!\r", 0.3])
    record("vim-open", ["vim", "-n", "-u", "NONE", "-N", TEXT], ["\x06", ":set hlsearch\r", "/quick\r", "v3j"])
    record("htop", ["htop", "-d", "3"], [0.8, "t", (100, 30), 0.6, "\x1bOB\x1bOB", "q"])
    record("top", ["top", "-d", "0.4"], [1.0, "1", (90, 28), 0.6, "q"])
    record("less", ["less", TEXT], ["  ", "/brown\r", "G", "b", (60, 20), "g", "q"])
    record("nano", ["nano", TEXT], ["hello 漢字\r", "\x0b\x0b", "\x17fox\r", (90, 30), "\x16\x16"])
    record("tmux", ["tmux", "-L", "recorded", "-f", "/dev/null", "new", "bash --norc --noprofile"], ["seq 50\r", "\x02%", "echo right; ls /\r", '\x02"', "top -b -n 1 | head -20\r", (110, 32), "\x02o", "\x02[", "\x1b[5~", "q"])
    os.system("tmux -L recorded kill-server 2>/dev/null")
    record("progress", python(PROGRESS), [1.5, (60, 20), 0.3])
    record("wide", python(WIDE), [0.5], size=(80, 24))
    record("emoji", python(EMOJI), [0.5])
    record("tabs", python(TABS), [0.5])
    record("modes", python(MODES), [0.5])
    record("alternate", shell, ["seq 100\r", f"less {TEXT}\r", " ", "q", "echo after\r", f"vim -n -u NONE {TEXT}\r", (120, 35), ":q\r", "echo again\r"])


main()
