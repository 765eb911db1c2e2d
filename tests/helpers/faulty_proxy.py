"""A proxy before an S3 server that does what its rules say: a process of its own (`faulty_s3.py` starts it).

Commands come as lines of JSON on standard input, an answer a line; it ends when its input does. Its port is the first
line that it prints.
"""

import asyncio
import hashlib
import json
import os
import random
import re
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

_ANSWERS = {
    "slow_down": (503, "SlowDown"),
    "internal_error": (500, "InternalError"),
    "expired": (403, "ExpiredToken"),
}
_HOP = {b"connection", b"keep-alive", b"proxy-connection"}
_CONDITIONS = {b"if-none-match", b"if-match"}
_SIGNATURE = {b"authorization", b"x-amz-date"}


@dataclass
class Request:
    """One request as it came: `line` is its first, `target` reads like `PUT /bucket/key?query`."""

    line: bytes
    headers: list[tuple[bytes, bytes]]  # names as sent
    body: bytes

    @property
    def target(self) -> str:
        return self.line.rsplit(b" ", 1)[0].decode("latin-1")

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def host(self) -> bytes:
        return self.header(b"host") or b""

    @property
    def path(self) -> bytes:
        """Bucket and key, without a query."""
        return self.line.split(b" ")[1].partition(b"?")[0]

    def but(self, names: set[bytes]) -> "Request":
        return Request(self.line, [(key, value) for key, value in self.headers if key.lower() not in names], self.body)


@dataclass
class Rules:
    """What is to be done to which request. Counts the requests, and those that each rule names."""

    seed: int = 0
    rules: list[dict[str, Any]] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)  # what was asked, and what was done to it
    outage_until: float = 0.0

    def set(self, rules: list[dict[str, Any]]) -> None:
        self.rules, self.seen, self.outage_until = rules, [0] * len(rules), 0.0

    def choose(self, target: str) -> dict[str, Any]:
        """The first rule that the request meets; `pass` where there is none."""
        chance = random.Random(f"{self.seed}:{len(self.log)}")
        for number, rule in enumerate(self.rules):
            if not re.search(rule["on"], target):
                continue
            if rule["and_all"] and self.seen[number] + 1 >= rule["first"]:
                rule |= {"on": "", "and_all": False}
            self.seen[number] += 1
            after = self.seen[number] - rule["first"]
            if after < 0 or (rule["times"] is not None and after >= rule["times"]) or chance.random() >= rule["share"]:
                continue
            chosen = rule | {"do": chance.choice(rule["kinds"])} if rule["do"] == "any" else rule
            break
        else:
            chosen = {"do": "pass"}
        if chosen["do"] == "outage" and not self.outage_until:
            self.outage_until = time.monotonic() + chosen["seconds"]
        self.log.append((target, chosen["do"]))
        return chosen

    @property
    def is_down(self) -> bool:
        return time.monotonic() < self.outage_until


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request of a connection; None where it was closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *lines = head[:-4].split(b"\r\n")
    request = Request(line, [(key, value.strip()) for key, _, value in (one.partition(b":") for one in lines)], b"")
    if (request.header(b"expect") or b"").lower() == b"100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if (request.header(b"transfer-encoding") or b"").lower() == b"chunked":
        while True:
            size = await reader.readuntil(b"\r\n")
            request.body += size
            n_bytes = int(size.split(b";")[0], 16)
            request.body += await (reader.readexactly(n_bytes + 2) if n_bytes else reader.readuntil(b"\r\n"))
            if not n_bytes:
                break
    else:
        request.body = await reader.readexactly(int(request.header(b"content-length") or 0))
    return request.but({b"expect"})


async def forward(server: tuple[str, int], request: Request) -> bytes:
    """The server's whole answer, for a connection that goes on."""
    reader, writer = await asyncio.open_connection(*server)
    try:
        lines = [b": ".join(pair) for pair in request.but(_HOP).headers]
        writer.write(b"\r\n".join([request.line, *lines, b"connection: close", b"", request.body]))
        await writer.drain()
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status, *lines = head.split(b"\r\n")
    kept = [one for one in lines if one.partition(b":")[0].lower() not in _HOP]
    framed = any(one.lower().startswith((b"content-length:", b"transfer-encoding:")) for one in kept)
    if not framed and status.split()[1] not in (b"204", b"304"):
        kept.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([status.replace(b"HTTP/1.0", b"HTTP/1.1"), *kept, b"", body])


def answer(status: int, code: str) -> bytes:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>made by the proxy</Message></Error>".encode()
    return b"HTTP/1.1 %d %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        code.encode(),
        len(body),
        body,
    )


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection with a RST, as a server does that falls over."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def signed(request: Request) -> Request:
    """As if its sender had sent it so: servers that look at signatures miss what was signed and taken away."""
    from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
    from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
    from botocore.credentials import Credentials  # type: ignore[import-untyped]

    content = request.header(b"x-amz-content-sha256") or hashlib.sha256(request.body).hexdigest().encode()

    class Signer(S3SigV4Auth):  # type: ignore[misc]
        def payload(self, _request: Any) -> str:
            return content.decode()

    method, path, _ = request.line.decode("latin-1").split(" ")
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in request.but(_HOP | _SIGNATURE).headers}
    sent = AWSRequest(method, f"http://{request.host.decode()}{path}", headers=headers)
    keys = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    Signer(keys, "s3", os.environ.get("AWS_DEFAULT_REGION", "us-east-1")).add_auth(sent)
    return Request(
        request.line, [(key.encode(), value.encode("latin-1")) for key, value in sent.headers.items()], request.body
    )


def unconditional(request: Request) -> Request:
    return signed(request.but(_CONDITIONS))


async def loosely(server: tuple[str, int], request: Request, seconds: float) -> bytes:
    """A condition that is looked at first and acted on later: one after the other is right, two at once both win."""
    if request.header(b"if-none-match"):
        look = Request(b"HEAD %s HTTP/1.1" % request.path, [(b"host", request.host)], b"")
        there = await forward(server, signed(look))
        if there.split(b" ", 2)[1] == b"200":
            return answer(412, "PreconditionFailed")
        await asyncio.sleep(seconds)
    return await forward(server, unconditional(request))


async def change(server: tuple[str, int], request: Request, rule: dict[str, Any]) -> None:
    """Somebody else writes or deletes the object that is asked for, or `key`, just before."""
    path = rule["key"].encode() or request.path
    body = bytes.fromhex(rule["data"])
    headers = [(b"host", request.host), (b"content-length", b"%d" % len(body))]
    changed = Request(b"%s %s HTTP/1.1" % (rule["do"].upper().encode(), path), headers, body)
    found = await forward(server, signed(changed))
    assert found.split(b" ", 2)[1] in (b"200", b"204"), found


async def answered(server: tuple[str, int], request: Request, rule: dict[str, Any]) -> bytes | None:
    """What the client is to get; None: a reset."""
    kind = rule["do"]
    if kind == "stall":
        await asyncio.sleep(rule["seconds"])
    if kind in ("kill", "kill_after"):
        if kind == "kill_after":
            await forward(server, request)
        os.kill(rule["pid"], signal.SIGKILL)
    if kind in ("stall", "reset", "kill", "kill_after"):
        return None
    if kind == "answer" or kind in _ANSWERS:
        found = answer(*_ANSWERS.get(kind, (rule.get("status"), rule.get("code"))))
        return found.partition(b"<?")[0] if request.line.startswith(b"HEAD") else found
    if kind == "loose_conditions":
        return await loosely(server, request, rule["seconds"])
    if kind in ("put", "delete"):
        await change(server, request, rule)
    found = await forward(server, unconditional(request) if kind == "ignore_conditions" else request)
    return None if kind == "reset_after" else found


async def serve(
    rules: Rules, server: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection, until it ends."""
    while (request := await read_request(reader, writer)) is not None:
        rule = rules.choose(request.target)
        found = None if rules.is_down else await answered(server, request, rule)
        if found is None:
            return reset(writer)
        if rule["do"] == "truncate":
            head, gap, body = found.partition(b"\r\n\r\n")
            writer.write(head + gap + body[: len(body) // 2] if body else b"")
            break
        writer.write(found)
        await writer.drain()
    writer.close()
    return None


async def main(host: str, port: int, seed: int) -> None:
    rules = Rules(seed)

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if rules.is_down:
                return reset(writer)
            await serve(rules, (host, port), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    listening = await asyncio.start_server(quietly, "127.0.0.1", 0, limit=1 << 26, backlog=512)
    print(listening.sockets[0].getsockname()[1], flush=True)
    commands = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        command = json.loads(line)
        if "rules" in command:
            rules.set(command["rules"])
        print(json.dumps({"n_requests": len(rules.log), "log": rules.log if command.get("log") else []}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
