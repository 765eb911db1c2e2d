"""One publisher at a time, and none stopped by the dead."""

import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from data_contracts.errors import LakeError
from data_contracts.lake import Lake
from tasks import lock


def test_the_second_waits_for_the_first(tmp_path):
    lake, order = Lake(str(tmp_path)), []
    inside, go = threading.Event(), threading.Event()

    def first():
        with lock.publishing(lake, "first"):
            inside.set()
            go.wait(10)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    with pytest.raises(LakeError, match="run first publishes"), lock.publishing(lake, "second", patience_s=0.5):
        pass
    go.set()
    with lock.publishing(lake, "second"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert not lake.exists(lock.PATH)


def test_a_process_that_is_gone_holds_nothing(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lake = Lake(str(tmp_path))
    lake.write(lock.PATH, _claim(pid=gone.pid, alive=time.time()))
    with lock.publishing(lake, "next", patience_s=0):
        assert lake.read_json(lock.PATH)["holder"] == "next"


def test_a_holder_elsewhere_who_went_silent_is_dead(tmp_path):
    lake = Lake(str(tmp_path))
    lake.write(lock.PATH, _claim(host="elsewhere", alive=time.time() - 3600))
    with lock.publishing(lake, "next", patience_s=0):
        pass
    lake.write(lock.PATH, _claim(host="elsewhere", alive=time.time()))
    with pytest.raises(LakeError), lock.publishing(lake, "next", patience_s=0):
        pass


def test_an_error_gives_the_lock_back(tmp_path):
    lake = Lake(str(tmp_path))
    with pytest.raises(RuntimeError), lock.publishing(lake, "one"):
        raise RuntimeError
    with lock.publishing(lake, "two", patience_s=0):
        pass


def _claim(**known):
    base = {"holder": "dead", "since": 0, "host": socket.gethostname(), "pid": 1}
    return json.dumps({**base, **known}).encode()
