# The program on port 8080 of the tests.
#   GET /         what it is: pid, a name of this start, ticks of 10 ms, the longest gap between two
#   GET /headers  the request's headers
#   GET /slow     an answer in pieces, half a second apart
#   POST /echo    the body
#   GET /upgrade  101, then every byte comes back
import http.server, json, os, threading, time

ticks, gap = 0, 0.0
START = os.urandom(8).hex()


def tick():
    global ticks, gap
    last = time.monotonic()
    while True:
        time.sleep(0.01)
        now = time.monotonic()
        ticks, gap, last = ticks + 1, max(gap, now - last), now


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/headers":
            self.answer(json.dumps({key.lower(): value for key, value in self.headers.items()}).encode())
        elif self.path == "/slow":
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for _ in range(3):
                self.wfile.write(b"4\r\nslow\r\n")
                self.wfile.flush()
                time.sleep(0.5)
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/upgrade":
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
            while data := self.connection.recv(65536):
                self.connection.sendall(data)
            self.close_connection = True
        else:
            self.answer(json.dumps({"pid": os.getpid(), "start": START, "ticks": ticks, "gap": gap}).encode())

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["content-length"])))

    def log_message(self, *_):
        pass


threading.Thread(target=tick, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
