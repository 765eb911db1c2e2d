"""Receivers on loopback: what a webhook was posted, what an e-mail server was handed."""

import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Mailbox:
    """What arrived at a port of 127.0.0.1: JSON documents or e-mails, and the paths they were posted to."""

    port: int
    taken: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@contextmanager
def webhook(*, before_answer: Callable[[], object] = lambda: None) -> Iterator[Mailbox]:
    """Takes every POST."""

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            mailbox.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            mailbox.paths.append(self.path)
            before_answer()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    mailbox = Mailbox(server.server_port)
    with _served(server):
        yield mailbox


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """As much of RFC 5321 as handing over a letter takes."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 here")
            while line := self.rfile.readline().strip().upper():
                if line.startswith(b"DATA"):
                    self._say("354 go on")
                    mailbox.taken.append(self._letter())
                self._say("250 well")

        def _letter(self) -> EmailMessage:
            lines = iter(self.rfile.readline, b".\r\n")
            return email.message_from_bytes(b"".join(lines), policy=email.policy.default)  # type: ignore[return-value]

        def _say(self, words: str) -> None:
            self.wfile.write(f"{words}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
    server.daemon_threads = True
    mailbox = Mailbox(server.server_address[1])
    with _served(server):
        yield mailbox


@contextmanager
def _served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
