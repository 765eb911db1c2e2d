"""`undertone dashboard`: its errors at the start; tests/browser opens it."""

import socket

import pytest

from data_contracts.errors import UsageError
from flows.cli.dashboard import dashboard


def test_no_lake_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="where is the lake"):
        dashboard(lake=None, port=0, browser=False)


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"{port} is taken"):
            dashboard(lake=str(tmp_path / "lake"), port=port, browser=False)
