"""A neighbour between the service and the sandbox: what belongs to "evil" repositories, projects and gates it answers with the worst
bytes found, everything else it passes on."""
import http.client
import http.server
import json
import re
import threading
import zlib

MIB = 1 << 20
SHA = "e" * 40
# A list as it is asked for has some thousand values; these take no more bytes than an answer may have.
FITTING = b"[" + b"{}," * 29_000 + b"{}]"
STATUSES = b'{"sha":"%s","total_count":1,"statuses":[%%s]}' % SHA.encode()


def gzip(parts):
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([packer.compress(part) for part in parts]) + packer.flush()


def endless_zeros(bytes):
    return gzip(b"0" * MIB for _ in range(bytes // MIB))


def zstd(blocks):
    """A frame with a window of 128 MiB, of blocks that encode 128 KiB of 0 in four bytes."""
    block = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"0"
    return (0xFD2FB528).to_bytes(4, "little") + b"\x00" + bytes([17 << 3]) + block * blocks


BODIES = {  # name: (body, headers)
    "nodes": (gzip([b"[", b"{}," * 2_800_000, b"{}]"]), {"Content-Encoding": "gzip"}),
    "fitting": (gzip([FITTING]), {"Content-Encoding": "gzip"}),
    "members": (gzip([b"{", b",".join(b'"%x":{}' % i for i in range(700_000)), b"}"]), {"Content-Encoding": "gzip"}),
    "deep": (gzip([b"[" * (2 * MIB)]), {"Content-Encoding": "gzip"}),
    "deep-objects": (gzip([b'{"a":' * (300 << 10)]), {"Content-Encoding": "gzip"}),
    "bomb": (endless_zeros(1 << 30), {"Content-Encoding": "gzip"}),
    "two-layers": (gzip([endless_zeros(1 << 30)]), {"Content-Encoding": "gzip, gzip"}),
    "zstd": (zstd(2000), {"Content-Encoding": "zstd"}),
    "zstd-transfer": (zstd(2000), {"Transfer-Encoding": "zstd"}),
    "long-text": (gzip([STATUSES.replace(b"%s", b'{"id":1,"status":"success","context":"%s"}' % (b"c" * (2 * MIB + MIB // 2)))]),
                  {"Content-Encoding": "gzip"}),
    "escapes": (gzip([b'["', b"\\u0000" * (480 << 10), b'"]']), {"Content-Encoding": "gzip"}),
    "numbers": (gzip([b"[", b"1," * (MIB + MIB // 4), b"1]"]), {"Content-Encoding": "gzip"}),
}
STREAMS = ("endless", "header-lines", "header-bytes", "header-line", "interim")
KINDS = [*BODIES, *STREAMS]
LONG_LISTS = ("statuses", "pulls", "reviews")
CALLS = ("head", "statuses", "pulls", "reviews", "trees")
PASSED_ON = ("Content-Type", "X-Total-Count", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After", "Location")


def gitea_call(path):
    for call, like in (("statuses", r"/commits/.*/status"), ("reviews", r"/pulls/\d+/reviews"), ("pulls", r"/pulls"),
                       ("trees", r"/git/trees"), ("hooks", r"/hooks"), ("head", r"/branches")):
        if re.search(like, path):
            return call
    return "repo"


def gitea_answer(call, path):
    """What lets a gate go on to the call that is evil."""
    end = {"ref": "main", "label": "main", "repo_id": 1, "sha": SHA}
    if call == "head":
        return {"name": path.split("/branches/")[1].split("?")[0], "commit": {"id": SHA}}
    if call == "statuses":
        return {"sha": SHA, "state": "success", "total_count": 1, "statuses": [{"id": 1, "status": "success", "context": "ci"}]}
    if call == "pulls":
        return [{"number": 1, "state": "open", "base": end, "head": {**end, "ref": "b", "label": "b"}}]
    return []


def long_page(call, path):
    """One of two hundred pages, each full and in order, and as long as it may be."""
    first = int(re.search(r"[?&]page=(\d+)", path)[1]) * 50
    text, end = "x" * 1000, {"ref": "main", "label": "main", "repo_id": 1, "sha": SHA}
    if call == "statuses":
        rows = [{"id": first + at, "status": "success", "context": f"{first + at}{text}"[:1000], "target_url": text} for at in range(50)]
        return {"sha": SHA, "state": "success", "total_count": 10_000, "statuses": rows}
    if call == "pulls":
        return [{"number": first + at, "state": "open", "base": end, "head": {**end, "ref": text, "label": text}, "html_url": text}
                for at in range(50)]
    return [{"id": first + at, "state": "COMMENT", "user": {"id": 1, "login": text}, "commit_id": text} for at in range(50)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def evil(self):
        """The kind of bytes that are due, a good answer, or None for what is not ours."""
        repo = re.match(r"/gitea/api/v1/repos/evil/([a-z-]+)\.([a-z]+)\d*/?(.*)", self.path)
        gate = re.match(r"/gate/evil-([a-z-]+)", self.path)
        if repo:
            call = gitea_call("/" + repo[3])
            if call != repo[2]:
                return gitea_answer(call, self.path)
            return repo[1] if repo[1] != "long-lists" else long_page(call, self.path)
        if gate:
            return gate[1]
        for like, kind in self.server.evil.items():
            if re.search(like, self.path):
                return next(kind) if hasattr(kind, "__next__") else kind
        return None

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        kind = self.evil()
        self.server.asked.append((self.path, kind if isinstance(kind, str) else None))
        try:
            if kind is None:
                self.pass_on(body)
            elif isinstance(kind, str):
                self.send_evil(kind)
            else:
                self.send(200, json.dumps(kind).encode(), {
                    "Content-Type": "application/json", **({"X-Total-Count": "10000"} if "long-lists" in self.path else {})})
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def send(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pass_on(self, body):
        connection = http.client.HTTPConnection(self.server.behind, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "accept-encoding")}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        content = response.read()
        self.send(response.status, content, {name: response.headers[name] for name in PASSED_ON if name in response.headers})
        connection.close()

    def send_evil(self, kind):
        if kind in BODIES:
            body, headers = BODIES[kind]
            self.send(200, body, {"Content-Type": "application/json", **headers})
            self.close_connection = "Transfer-Encoding" in headers
            return
        self.close_connection = True
        write = self.wfile.write
        if kind == "endless":
            write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.for_ever(b"10000\r\n" + b"[" * 0x10000 + b"\r\n")
        elif kind == "header-lines":
            write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(10_000)) + b"Content-Length: 2\r\n\r\n[]")
        elif kind == "header-bytes":
            write(b"HTTP/1.1 200 OK\r\n")
            self.for_ever(b"X-Long: " + b"y" * 60_000 + b"\r\n")
        elif kind == "header-line":
            write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
            self.for_ever(b"y" * 0x10000)
        elif kind == "interim":
            self.for_ever(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * 100)

    def for_ever(self, bytes):
        """Until the other side has had enough."""
        self.connection.settimeout(20)
        while True:
            self.connection.sendall(bytes)


class Hostile(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind = behind
        self.evil = {}  # expression for a path: kind, or an iterator of kinds
        self.asked = []
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"http://{self.address}"
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def handle_error(self, *_):
        pass

    def stop(self):
        self.shutdown()
        self.server_close()
