"""Fixtures of all tests: a clean environment, an S3 server on loopback, a corpus of synthetic voices."""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow  # noqa: F401 - here, on the main thread: 25.0 crashes where a thread that ends was the first to load it
import pytest
from helpers.explore_profile import PROFILE
from helpers.faulty_s3 import FaultyStore, faulty_s3
from helpers.lakes import make_lake, make_s3_lake
from helpers.paths import SAMPLE
from helpers.steady_environment import steady
from hypothesis import settings

from data_contracts.lake import Lake
from flows.workers.embedded_s3 import embedded_s3

# A busy machine is no bug, and the same commit gives the same result; HYPOTHESIS_PROFILE=explore seeks new examples.
settings.register_profile("undertone", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("explore", deadline=None)
settings.load_profile(PROFILE)

steady()

_NO_PROFILE = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
os.environ.update(_NO_PROFILE, XDG_STATE_HOME=str(Path(tempfile.gettempdir(), "undertone-tests-state")))

_SETTINGS = ("UNDERTONE_", "MLFLOW_", "AWS_")
_MLFLOW_OURS = {  # set by models.registry.mlflow_api at import
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT",
}


# Names another S3 server than moto's; the AWS settings beside it are its own (tests/helpers/radosgw.py).
_OTHER_S3 = "UNDERTONE_TEST_S3_ENDPOINT"
_S3_SETTINGS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where another S3 server is named, what runs are the tests that ask for one, by a fixture or a parameter."""
    if _OTHER_S3 not in os.environ:
        return
    others = [item for item in items if "s3" not in _asks_for(item)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def _asks_for(item: pytest.Item) -> list[str]:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return [*getattr(item, "fixturenames", ()), *(value for value in parameters if isinstance(value, str))]


@pytest.fixture(scope="session")
def _s3_settings() -> Iterator[dict[str, str]]:
    """A server for the whole session (one a process), or the one that is named; the settings by which it is reached."""
    own = contextlib.nullcontext(os.environ[_OTHER_S3]) if _OTHER_S3 in os.environ else embedded_s3()
    with own as endpoint:
        settings = {name: os.environ[name] for name in _S3_SETTINGS if name in os.environ}
        assert settings["AWS_ENDPOINT_URL"] == endpoint
        yield settings


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No undertone.toml, no setting, no profile and no state of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(_SETTINGS) and name not in _MLFLOW_OURS and name not in _NO_PROFILE:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def s3(_s3_settings: dict[str, str], _nothing_of_this_machine: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a fresh bucket on a real server; the AWS settings point there."""
    import boto3

    for name, value in _s3_settings.items():
        monkeypatch.setenv(name, value)
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    client = boto3.client("s3")
    client.create_bucket(Bucket=bucket)
    yield bucket
    client.close()


@pytest.fixture
def faulty(s3: str) -> Iterator[FaultyStore]:
    """A proxy before the server of `s3`, which does what it is told; the AWS settings lead through it."""
    with faulty_s3(os.environ["AWS_ENDPOINT_URL"]) as store:
        yield store


@pytest.fixture(scope="session")
def sample() -> Path:
    """A corpus of synthetic voices, laid out by date."""
    return SAMPLE


@pytest.fixture(scope="session")
def _prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prefect's test harness; who runs no flow does not wait for its import."""
    from helpers.prefect_harness import shared_prefect

    with shared_prefect(tmp_path_factory):
        yield


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty one, in a folder. Modules whose tests want something in it give it by a fixture of the same name."""
    return make_lake(tmp_path)


@pytest.fixture(params=["folder", "s3"])
def lake_anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """An empty one, in a folder and in a bucket: for what must hold in both."""
    return make_lake(tmp_path) if request.param == "folder" else make_s3_lake(request.getfixturevalue("s3"))


@pytest.fixture
def evil_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """What is given, a line of Python, is done by the decoders of files that begin with EVIL, from then on."""
    from features.decode import process_pool

    def do(line: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(
            f"""
import sys

if "features.decode.child" in sys.orig_argv:
    import contextlib, ctypes, os, time

    from features.decode import open as streams

    real = streams.open_stream

    @contextlib.contextmanager
    def open_stream(content):
        if bytes(content[:4]) == b"EVIL":
            {line}
        with real(content) as stream:
            yield stream

    streams.open_stream = open_stream
"""
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    process_pool.close()
    yield do
    process_pool.close()
