"""An object store that misbehaves on demand: a proxy before a real one, and the AWS settings that lead through it.

with faulty_s3(os.environ["AWS_ENDPOINT_URL"]) as store:
    store.do(Fault("slow_down", share=0.05), Fault("outage", first=40, seconds=30))
    store.do(Fault("kill_after", on="PUT .*/_delta_log/", first=2, pid=child.pid))
    store.do()  # well again

Which request meets which fault hangs on the seed and on the request's number alone.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

_PROXY = Path(__file__).with_name("faulty_proxy.py")
TRANSIENT = ("slow_down", "internal_error", "reset", "reset_after", "stall", "truncate")


@dataclass(frozen=True)
class Fault:
    """Is done to requests that `on` matches (`METHOD /bucket/key?query`), from the `first` of them on, `times` at most.

    With `and_all`, from the first of them on to every request, whatever it is.

    slow_down, internal_error, expired: 503, 500 and 403 in S3's words; answer: `status` and `code`
    reset: the connection breaks and nothing was done; reset_after: it was done, and the answer is lost
    stall: nothing is answered for `seconds`; truncate: half of the answer's body, or none of the answer
    outage: every connection is reset for `seconds`; any: one of `kinds`, by the seed
    kill, kill_after: kill -9 of `pid`, and the request is not forwarded, or is
    put, delete: somebody else writes `data` (hex) to, or deletes, `key` (/bucket/key; the one asked for) just before
    ignore_conditions: If-None-Match and If-Match are not passed on
    loose_conditions: If-None-Match is looked at, and written `seconds` later
    """

    do: str
    on: str = ""
    first: int = 1
    times: int | None = None
    share: float = 1.0
    and_all: bool = False
    seconds: float = 3600.0
    kinds: tuple[str, ...] = TRANSIENT
    status: int = 403
    code: str = "AccessDenied"
    pid: int = 0
    key: str = ""
    data: str = ""


class FaultyStore:
    """The proxy, as its tests steer it."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self._process, self.url = process, url

    def do(self, *faults: Fault) -> None:
        """From now on these; counting begins anew, and an outage is over."""
        self._ask(rules=[asdict(fault) for fault in faults])

    @property
    def n_requests(self) -> int:
        return int(self._ask()["n_requests"])

    @property
    def log(self) -> list[tuple[str, str]]:
        """Every request so far, `METHOD /bucket/key?query`, and what was done to it (`pass`: it went through)."""
        return [(target, done) for target, done in self._ask(log=True)["log"]]

    def _ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))


@contextmanager
def faulty_s3(endpoint: str, *, seed: int = 0) -> Iterator[FaultyStore]:
    """Stands before the server at `endpoint`, with no fault yet; AWS_ENDPOINT_URL points to it while it is open."""
    server = urlsplit(endpoint)
    command = [sys.executable, str(_PROXY), str(server.hostname), str(server.port), str(seed)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    before = os.environ.get("AWS_ENDPOINT_URL")
    try:
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        os.environ["AWS_ENDPOINT_URL"] = url
        _connect_anew()
        yield FaultyStore(process, url)
    finally:
        if before is None:
            os.environ.pop("AWS_ENDPOINT_URL", None)
        else:
            os.environ["AWS_ENDPOINT_URL"] = before
        process.communicate()
        _connect_anew()


def _connect_anew() -> None:
    """s3fs keeps a connection a set of arguments, and looks at the endpoint when it makes one (ours name it)."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
