# The app that tests run in machines. Its argument is the port.
#   GET /headers     the request's headers, as a list of pairs
#   GET /status/N    status N, with what usually goes with it
#   GET /bytes/N     N bytes
#   GET /count       how many requests it has had, this one included, and a name of this start
#   POST /sum        length and SHA-256 of the body
#   GET /socket      a WebSocket on which every message comes back
import base64, hashlib, http.server, json, os, sys

count, start = 0, os.urandom(8).hex()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, status=200, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        global count
        count += 1
        path, _, rest = self.path[1:].partition("?")[0].partition("/")
        if path == "headers":
            self.answer(json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode())
        elif path == "status":
            status = int(rest)
            headers = [("x-app", "own")]
            headers += [("location", "http://elsewhere.test/")] if status in (301, 302) else []
            headers += [("www-authenticate", "Basic")] if status == 401 else []
            headers += [("set-cookie", "theirs=1"), ("set-cookie", "__Host-snap_app=forged; Secure; Path=/")]
            self.answer(f"own {status}".encode(), status, headers)
        elif path == "bytes":
            left, piece = int(rest), b"snapvm__" * 8192
            self.send_response(200)
            self.send_header("content-length", str(left))
            self.end_headers()
            while left:
                left -= self.wfile.write(piece[:left])
        elif path == "count":
            self.answer(json.dumps({"count": count, "start": start}).encode())
        elif path == "socket":
            self.socket()
        else:
            self.answer(self.path.encode())

    def do_POST(self):
        length, digest = 0, hashlib.sha256()
        for piece in self.pieces():
            length += len(piece)
            digest.update(piece)
        self.answer(json.dumps({"length": length, "sha256": digest.hexdigest()}).encode())

    def pieces(self):
        if self.headers.get("transfer-encoding") != "chunked":
            left = int(self.headers["content-length"])
            while left and (piece := self.rfile.read(min(left, 65536))):
                left -= len(piece)
                yield piece
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def socket(self):
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n")
        self.wfile.write(f"sec-websocket-accept: {accept}\r\n\r\n".encode())
        self.close_connection = True
        while head := self.rfile.read(2):
            length = head[1] & 127
            if length == 126:
                length = int.from_bytes(self.rfile.read(2), "big")
            mask = self.rfile.read(4)
            body = bytes(byte ^ mask[place % 4] for place, byte in enumerate(self.rfile.read(length)))
            size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
            self.wfile.write(head[:1] + size + body)
            if head[0] & 15 == 8:
                return

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
