"""Child process that decodes: a file that hangs or crashes its decoder ends this process, and nothing else.

Started by `features.decode.process_pool`. A request is a JSON object with the configuration, followed by the content
unless it names a file; an answer is a message for each window, its samples behind it, and a message that ends it. A
block that takes longer than the time limit ends the process, by an alarm that needs no Python to go off; allocations
beyond the memory limit fail.
"""

import importlib
import json
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from data_contracts.rejects import Reason, Reject
from features.containers.content import Content, map_file
from features.decode.config import AudioConfig
from features.decode.recording import decode_windows
from features.decode.stream import one_line
from features.decode.windows import Window
from features.quality.measures import Measures

_ALIVE_EVERY_S = 1.0


def main(fd: int) -> None:
    """Answer requests until the connection closes."""
    for module in ("features.decode.ffmpeg", "features.quality.meter", "features.decode.sndfile"):
        importlib.import_module(module)  # before the first file, whose time limit is not for imports
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = Connection(fd)
    connection.send_bytes(_message("ready", {}))
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        try:
            with _open_content(connection, request) as content:
                _answer(connection, request, content)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        except OSError as error:  # the copied file is gone, or its disk fails
            gone = Reject(Reason.UNREADABLE, f"expected to read what was held of it; {one_line(error)}")
            connection.send_bytes(_message("reject", asdict(gone)))


@contextmanager
def _open_content(connection: Connection, request: dict[str, Any]) -> Iterator[Content]:
    if request["path"] is None:
        yield connection.recv_bytes()
        return
    with map_file(Path(request["path"])) as content:
        yield content


def _answer(connection: Connection, request: dict[str, Any], content: Content) -> None:
    _limit_memory(request["max_bytes"])
    limit_s, sent_s = request["timeout_s"], time.monotonic()

    def send_alive() -> None:
        """Restart the time limit after a block, and send a sign of life once a second."""
        nonlocal sent_s
        if time.monotonic() - sent_s > _ALIVE_EVERY_S:
            signal.alarm(0)
            connection.send_bytes(_message("alive", {}))
            sent_s = time.monotonic()
        signal.alarm(limit_s)

    gains_db = request["gains_db"]
    found = decode_windows(
        content,
        config=AudioConfig(**request["config"]),
        only=tuple(request["only"]),
        gains_db=None if gains_db is None else {int(channel): gain for channel, gain in gains_db.items()},
        mixed=request["mixed"],
        tick=send_alive,
    )
    signal.alarm(limit_s)
    for item in _reject_on_failure(found):
        signal.alarm(0)  # the reader may take as long as it likes
        if isinstance(item, Window):
            connection.send_bytes(_message("window", {"channel": item.channel, "start": item.start}))
            connection.send_bytes(item.samples.data)
        else:
            connection.send_bytes(_message("measures" if isinstance(item, Measures) else "reject", asdict(item)))
            return
        signal.alarm(limit_s)
    signal.alarm(0)
    connection.send_bytes(_message("end", {}))


def _reject_on_failure(items: Iterator[Window | Measures | Reject]) -> Iterator[Window | Measures | Reject]:
    """Yield the items; running out of memory, or an unexpected error, becomes a Reject."""
    try:
        yield from items
    except MemoryError:
        yield Reject(Reason.CORRUPT, "expected a file that decodes; it asks for more memory than a decoder may have")
    except Exception as error:  # noqa: BLE001 - one file must not take down the others
        yield Reject(Reason.CORRUPT, f"expected a file that decodes; {one_line(error)} (please report this file)")


def _limit_memory(n_bytes: int) -> None:
    """Set the soft limit: a hard one could never be raised for the next file."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = n_bytes if hard == resource.RLIM_INFINITY else min(hard, n_bytes)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _message(kind: str, values: dict[str, Any]) -> bytes:
    return json.dumps({"kind": kind, **values}).encode()


if __name__ == "__main__":
    main(int(sys.argv[1]))
