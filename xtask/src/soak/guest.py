# What runs in the machine: writes what its seed says and notes it in a file, reads what is typed and notes that in
# another. Arguments: folder, name, seed, bytes, writers, pace. It ends with code 7 when it has written everything and
# has read `quit;` from every writer. `rest;` makes it stand still for as long as an object needs to be evicted.
import os, random, sys, termios, threading, time, tty

folder, name = sys.argv[1:3]
seed, total, writers = map(int, sys.argv[3:6])
pace = sys.argv[6]
REST = 13

HOSTILE = [
    b"\x1b[c", b"\x1b[>c", b"\x1b[6n", b"\x1b[5n", b"\x1b[?2004$p", b"\x1bP$qm\x1b\\", b"\x1bP+q544e\x1b\\", b"\x1b[>q",
    b"\x1b]10;?\x07", b"\x1b]11;?\x1b\\", b"\x1b]4;1;?\x07", b"\x1b]52;c;?\x07", b"\x1b]52;c;aGk=\x07", b"\x1b[18t",
    b"\x1b[8;10;20t", b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25l", b"\x1b[?1000h\x1b[?1006h", b"\x1b[?2004h", b"\x1bc",
    b"\x1b[!p", b"\x1b#8", b"\x1b[3;7r", b"\x1b[?6h", b"\x1b(0lqqk\x1b(B", b"\x0e\x0f", b"\x1bP", b"\x1b]0;no end",
    b"\x1b[38;2;1;2;3;4;5;6;7;8;9m", b"\x1b[999999999999999999999A", b"\x1b[;;;;;;;;;;;;;;;;;;;;H", b"\x18\x1a\x1b\x1b",
    b"\x9b6n\x90\x9d", b"\x00\x7f\xff\xfe", b"\x1b[2J\x1b[H", b"\x1b[3J", b"\x05", b"\x1b[?u", b"\x1b[?1u", b"\x1b[0c",
    b"\x1b]2;" + b"t" * 5000 + b"\x07", b"\r\n" * 40, b"\x08\t\x0b\x0c\r", b"\x1b[200~quit;\x1b[201~",
]
LETTERS = "aé漢🦀👩‍👩‍👧e\u0301\u200f\U000e0001ｗ"


def piece(chance):
    kind = chance.randrange(10)
    if kind < 3:
        return (" ".join(str(chance.random()) for _ in range(chance.randrange(1, 8))) + "\r\n").encode()
    if kind < 5:
        return chance.choice(HOSTILE)
    if kind < 7:
        letters = "".join(chance.choice(LETTERS) for _ in range(chance.randrange(1, 40))).encode()
        return letters[chance.randrange(4) : len(letters) - chance.randrange(4)]
    return chance.randbytes(chance.randrange(1, 3000 if kind == 9 else 200))


quits, resting = threading.Semaphore(0), threading.Event()


def read(log):
    tail = b""
    with log:
        while data := os.read(0, 65536):
            log.write(data)
            text = tail + data
            for _ in range(text.count(b"quit;") - tail.count(b"quit;")):
                quits.release()
            if text.count(b"rest;") > tail.count(b"rest;"):
                resting.set()
            tail = text[-4:]


def write(log, data):
    # First the note: what is out must be in it, whenever this process is killed.
    log.write(data)
    while data:
        data = data[os.write(1, data) :]


tty.setraw(0, termios.TCSANOW)
threading.Thread(target=read, args=[open(f"{folder}/{name}.in", "wb", buffering=0)], daemon=True).start()
chance, written = random.Random(seed), 0
with open(f"{folder}/{name}.out", "wb", buffering=0) as log:
    write(log, f"<<{name}>>".encode())
    while written < total:
        chunk = b""
        most = chance.randrange(1, 20000 if pace == "flood" else 3000)
        while len(chunk) < most:
            chunk += piece(chance)
        write(log, chunk)
        written += len(chunk)
        if resting.is_set():
            resting.clear()
            time.sleep(REST)
        if pace == "bursts":
            time.sleep(chance.random() * 0.03)
        elif pace == "trickle":
            time.sleep(chance.random() * 0.1)
    for _ in range(writers):
        quits.acquire()
    os.fsync(log.fileno())
os._exit(7)
