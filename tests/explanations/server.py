"""A server that speaks the protocol of OpenAI, and does what a test says."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Answer = Callable[[str, str], Any]
"""From what is said as system and as user: a text; or a status with headers and a body of bytes."""


@dataclass
class Server:
    """Where it is, and what it was asked."""

    address: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """A server for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known.asked.append(body | {"path": self.path})
            known.keys.append(self.headers.get("Authorization"))
            found = answer(*(message["content"] for message in body["messages"]))
            if isinstance(found, str):
                usage = {"total_tokens": 7}
                content = json.dumps({"choices": [{"message": {"content": found}}], "usage": usage}).encode()
                found = 200, {}, content
            status, headers, content = found
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # whoever gave up waiting is gone
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Server(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
