"""Places of state and of temporary files, where HOME or TMPDIR cannot be used: in containers and under systemd."""

import os
import tempfile
from collections.abc import Iterator, MutableMapping
from pathlib import Path

_STATE = {"PREFECT_HOME": "prefect", "XDG_STATE_HOME": "state"}
_CACHES = {"XDG_CACHE_HOME": "cache", "MPLCONFIGDIR": "matplotlib", "NUMBA_CACHE_DIR": "numba"}


def settle(environ: MutableMapping[str, str]) -> Iterator[str]:
    """Replace places that cannot be used; yield a line on each. HOME stays: credentials may be read there."""
    folder = environ.get("TMPDIR")
    problem = _write_problem(folder) if folder else None
    if problem:
        del environ["TMPDIR"]
        yield f"TMPDIR={folder} cannot be used ({problem}); temporary files go to {tempfile.gettempdir()}"
    home = home_folder(environ)
    if home is not None and is_writable(home):
        return
    if home is None:
        environ["HOME"] = _temporary_state()
    state = environ.get("XDG_STATE_HOME") or ""
    root = f"{state}/undertone" if state and is_writable(state) else _temporary_state()
    moved = {name: f"{root}/{place}" for name, place in (_STATE | _CACHES).items() if not _is_usable(environ, name)}
    environ.update(moved)
    if moved.keys() & _STATE.keys():
        yield f"HOME={home or ''} cannot be written; state goes to {root}: set HOME, or PREFECT_HOME and XDG_STATE_HOME"


def home_folder(environ: MutableMapping[str, str]) -> str | None:
    """Return the user's home; None where neither HOME nor the system names one."""
    if environ.get("HOME"):
        return environ["HOME"]
    try:
        return str(Path("~").expanduser())
    except RuntimeError:
        return None


def is_writable(folder: str) -> bool:
    """Return whether a folder can be written, or made."""
    places = [Path(folder).absolute(), *Path(folder).absolute().parents]
    place = next(place for place in places if os.access(place, os.F_OK))
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def _write_problem(folder: str) -> str | None:
    """Return the system's words where a file cannot be written to `folder`, which may be full."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?")
    except OSError as error:
        return str(error.strerror)
    return None


def _is_usable(environ: MutableMapping[str, str], name: str) -> bool:
    return bool(environ.get(name)) and is_writable(environ[name])


def _temporary_state() -> str:
    """Return this user's own folder among the temporary files: on a shared machine others may not write there."""
    folder = Path(tempfile.gettempdir(), f"undertone-{os.getuid() if hasattr(os, 'getuid') else 'state'}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        return tempfile.mkdtemp(prefix="undertone-")
    return str(folder)
