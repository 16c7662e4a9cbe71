"""An issuer's key endpoint on this machine, which does what a test says, and counts what it is asked."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.unit.auth.verify.tokens import JWKS

Answer = Callable[[BaseHTTPRequestHandler], None]


class Issuer:
    """Attributes: `answer` writes the answer; `asked` has the path of each request."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/jwks.json"
        self.answer: Answer = self.keys(JWKS)
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.release = threading.Event()

    def keys(self, document: object, *, status: int = 200, **headers: str) -> Answer:
        return self.body(json.dumps(document).encode(), status=status, **headers)

    def body(self, text: bytes, *, status: int = 200, **headers: str) -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in {"content-length": str(len(text)), **headers}.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(text)

        return answer

    def redirect(self, location: str) -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            if handler.path == "/keys":
                self.keys(JWKS)(handler)
            else:
                self.body(b"", status=302, location=location)(handler)

        return answer

    def held(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer only when the test says so."""
        self.release.wait(10)
        self.keys(JWKS)(handler)

    def dripping(self, handler: BaseHTTPRequestHandler) -> None:
        """Send headers that never end, each byte in time."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.release.wait(0.02):
            handler.wfile.write(b"x-more: y\r\n")


@contextlib.contextmanager
def serving() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            issuer.headers.append(dict(self.headers.items()))
            with contextlib.suppress(ConnectionError):
                issuer.answer(self)

        def log_message(self, *_args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    server = Server(("127.0.0.1", 0), Handler)
    issuer = Issuer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield issuer
    issuer.release.set()
    server.shutdown()
    server.server_close()
    thread.join()
