"""Pool of decoding processes: a crash or hang of a decoder becomes a reject of its file."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from data_contracts.errors import ComputeError
from data_contracts.rejects import Reason, Reject
from features.decode.config import AudioConfig
from features.decode.recording import WHOLE_RECORDING, Decoded, gather
from features.decode.windows import Window
from features.quality.measures import Measures
from features.resources import Resources

_GRACE_S = 15.0  # beyond its own limit, before a silent process is ended from here
_START_S = 120.0
_KILL_SIGNALS = {-signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM}
_ROOT = str(Path(__file__).parents[2])


def decode(
    content: bytes | Path, *, config: AudioConfig = AudioConfig(), resources: Resources = Resources()
) -> Decoded | Reject:
    """Run `features.decode.recording.decode` in another process."""
    return gather(decode_windows(content, config=config, resources=resources))


def decode_windows(
    content: bytes | Path,
    *,
    config: AudioConfig,
    resources: Resources,
    only: tuple[int, int] = WHOLE_RECORDING,
    gains_db: Mapping[int, float] | None = None,
    mixed: Sequence[int] | None = None,
) -> Generator[Window | Measures | Reject, None, None]:
    """Run `features.decode.recording.decode_windows` in another process.

    A decoder that crashes, hangs or asks for too much memory yields a Reject. A caller that stops before the end ends
    the process.
    """
    request = {
        "path": None if isinstance(content, bytes) else str(content),
        "config": asdict(config),
        "only": list(only),
        "gains_db": None if gains_db is None else dict(gains_db),
        "mixed": None if mixed is None else list(mixed),
        "timeout_s": resources.decode_timeout_s,
        "max_bytes": resources.decoder_bytes,
    }
    with _borrow() as process:
        try:
            process.connection.send_bytes(json.dumps(request).encode())
            if isinstance(content, bytes):
                process.connection.send_bytes(content)
            while isinstance(item := process.next(resources.decode_timeout_s + _GRACE_S), Window):
                yield item
        except (EOFError, OSError):  # also for a time-out, and for an end in the middle of a message
            yield process.exit_reject(resources)
            return
        process.is_idle = True
        if item is not None:
            yield item


class _Process:
    """One decoding process; `is_idle` between its answers."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        paths = [_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.child = subprocess.Popen(
            [sys.executable, "-m", "features.decode.child", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for the run; a decoder ends when its connection closes
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # decoders write there; errors come as answers
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        )
        theirs.close()
        self.connection = Connection(ours.detach())
        self.is_idle = True
        try:
            self.next(_START_S)
        except (EOFError, OSError) as error:
            self.close()
            raise ComputeError(
                "the decoder's process does not start; `python -m features.decode.child 0` shows why"
            ) from error

    def next(self, timeout_s: float) -> Window | Measures | Reject | None:
        """Receive the next item; None at the end. Raises EOFError after its death, TimeoutError in its silence."""
        kind, message = "alive", dict[str, Any]()
        while kind == "alive":
            if not self.connection.poll(timeout_s):
                raise TimeoutError
            message = json.loads(self.connection.recv_bytes())
            kind = message.pop("kind")
        if kind == "window":
            samples = np.frombuffer(self.connection.recv_bytes(), np.float32)
            return Window(message["channel"], message["start"], samples)
        if kind == "measures":
            lists = {name: tuple(message[name]) for name in ("channels", "mixed", "tags_dropped")}
            gains_db = {int(channel): gain for channel, gain in message["gains_db"].items()}
            return Measures(**{**message, **lists, "gains_db": gains_db})
        return Reject(**{**message, "reason": Reason(message["reason"])}) if kind == "reject" else None

    def exit_reject(self, resources: Resources) -> Reject:
        """Return the reject of the file over which the process died, with the cause of its exit."""
        try:
            code = self.child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            code = -signal.SIGALRM
        if code in _KILL_SIGNALS:
            killed = f"its decoder was ended from outside, by {signal.Signals(-code).name}: too little memory, perhaps"
            return Reject(Reason.UNREADABLE, f"expected a file that decodes; {killed}")
        if code == -signal.SIGALRM:
            found = f"no sample came for {resources.decode_timeout_s} s"
        elif code < 0:
            found = f"the decoder's process ended by {signal.Signals(-code).name}"
        else:
            found = f"the decoder's process ended with {code}"
        return Reject(Reason.CORRUPT, f"expected a file that decodes; {found}")

    def close(self) -> None:
        self.connection.close()
        self.child.kill()
        self.child.wait()


_idle: list[_Process] = []
_lock = threading.Lock()


@contextmanager
def _borrow() -> Iterator[_Process]:
    with _lock:
        process = _idle.pop() if _idle else None
    if process is None or process.child.poll() is not None:
        process = _Process()
    process.is_idle = False
    try:
        yield process
    finally:
        if process.is_idle:
            with _lock:
                _idle.append(process)
        else:
            process.close()


@atexit.register
def close() -> None:
    """End the idle decoders."""
    with _lock:
        while _idle:
            _idle.pop().close()
