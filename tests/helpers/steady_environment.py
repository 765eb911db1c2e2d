"""The C library's environment for many threads: what it was is never freed.

Polars, once it has read from S3, reads the environment from a thread of its own for as long as the process lives
(its concurrency controller asks for POLARS_LOG_CONCURRENCY), and tests set names all the time. Where one is added,
glibc moves the list and frees the old one, and `getenv` falls: a segmentation fault in one of some thousand tests.
"""

import ctypes
import itertools
import os
import sys

_PYTESTS = b"PYTEST_CURRENT_TEST"  # comes and goes three times a test, and is Python's alone
_kept: list[ctypes.Array[ctypes.c_void_p]] = []


def steady() -> None:
    """From now on every list that threads may be reading stays: some kilobytes a name that is added."""
    putenv, unsetenv = os.putenv, os.unsetenv

    def added(name: bytes, value: bytes) -> None:
        if name != _PYTESTS:
            putenv(name, value)
            _keep()

    def removed(name: bytes) -> None:
        if name != _PYTESTS:
            unsetenv(name)

    os.putenv, os.unsetenv = added, removed


def _keep() -> None:
    """Puts a copy of our own in the place of a list that glibc would free the next time."""
    if sys.platform != "linux":
        return
    place = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "environ")
    if place.value is None or (_kept and place.value == ctypes.addressof(_kept[-1])):
        return
    now = ctypes.cast(place.value, ctypes.POINTER(ctypes.c_void_p))
    count = next(index for index in itertools.count() if not now[index])
    _kept.append((ctypes.c_void_p * (count + 1))(*now[:count], None))
    place.value = ctypes.addressof(_kept[-1])
