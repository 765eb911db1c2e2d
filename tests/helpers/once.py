"""Things that a test run makes once for all of pytest's worker processes: lakes, registries, Prefect's server."""

import fcntl
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")


def make_once(folders: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """The result of `make(folder)`; later callers, in other processes too, are handed a pickled copy of it.

    The folder is for all tests of all workers: read what lies there, or copy it.
    """
    folder = _shared(folders) / name
    result = folder.with_suffix(".pickle")
    with _locked(folder.with_suffix(".lock"), fcntl.LOCK_EX):
        if not result.exists():
            folder.mkdir()
            result.write_bytes(pickle.dumps(make(folder)))
        made: T = pickle.loads(result.read_bytes())
    return made


@contextmanager
def serve_once(
    folders: pytest.TempPathFactory, name: str, serve: Callable[[], AbstractContextManager[str]]
) -> Iterator[tuple[str, bool]]:
    """A server's address, and whether this process started it, and so ends it once no other uses it any more."""
    place = _shared(folders) / name
    address, users, gate = (place.with_suffix(f".{part}") for part in ("address", "users", "lock"))
    with ExitStack() as server, ExitStack() as use:
        with _locked(gate, fcntl.LOCK_EX):
            starts = not address.exists()
            if starts:
                address.write_text(server.enter_context(serve()))
            use.enter_context(_locked(users, fcntl.LOCK_SH))
        yield address.read_text(), starts
        use.close()
        if starts:
            with _locked(gate, fcntl.LOCK_EX), _locked(users, fcntl.LOCK_EX):
                address.unlink()
                server.close()


def _shared(folders: pytest.TempPathFactory) -> Path:
    """Each worker has a folder of its own in that of the run."""
    own = folders.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, kind)
        yield
