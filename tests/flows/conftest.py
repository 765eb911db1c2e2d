"""One model registry and a few published lakes a test run; lakes and corpora of each test's own."""

import datetime as dt
import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from distributed.utils import get_mp_context
from helpers.corpora import sample_corpus
from helpers.dask_defaults import dask_defaults
from helpers.once import make_once
from helpers.paths import SHARED_CORPORA
from helpers.warm_process import Warm, warm
from helpers.wrong_clock import wrong_clock
from prefect.settings import PREFECT_API_URL

from data_contracts.lake import Lake
from data_contracts.schema.tables import TABLE_KEYS
from flows.backfill import backfill
from flows.nightly import nightly
from flows.workers import forkserver
from models.registry.mlflow_registry import Registry
from tasks.run.ledger import Ledger


@pytest.fixture(scope="session", autouse=True)
def _forked() -> Iterator[None]:
    """Dask's workers are forked, as a command's are, from a process that begins when the first is needed."""
    with dask_defaults({"distributed.worker.multiprocessing-method": "forkserver"}):
        get_mp_context().set_forkserver_preload([*forkserver._PRELOADED, "scipy.signal", "models.speaker.encoder"])
        yield


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The shipped models, registered once. Tests that promote make a registry of their own."""

    def register(folder: Path) -> tuple[str, str]:
        places = f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")
        made = Registry(*places)
        made.champion("emotion")
        made.champion("speaker")
        return places

    return Registry(*make_once(tmp_path_factory, "registry", register))


@pytest.fixture
def own_registry(registry: Registry, tmp_path: Path) -> Registry:
    """A copy of the registry's database: what is promoted there stays there."""
    before = Path(registry.uri.removeprefix("sqlite:///"))
    shutil.copy(before, tmp_path / "mlflow.db")
    return Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "artifacts"))


@pytest.fixture
def settings(_prefect: None, registry: Registry, tmp_path: Path, sample: Path) -> dict[str, Any]:
    """Flags for a flow: the sample corpus, a lake of the test's own, workers as threads."""
    return {
        "corpus": str(sample),
        "lake": str(tmp_path / "lake"),
        "registry": registry.uri,
        "cluster": "threads",
        "workers": 2,
    }


@pytest.fixture(scope="session")
def sample_lake(
    _prefect: None, registry: Registry, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ledger]:
    """The lake of a backfill over the sample, to be read alone, and what the run said of itself."""
    return make_once(tmp_path_factory, "sample-lake", _backfill(sample, registry))


@pytest.fixture
def published(settings: dict[str, Any], sample_lake: tuple[Path, Ledger]) -> Ledger:
    """The lake of `settings` as a backfill over the sample left it, and its ledger: for what comes after that."""
    lake, ledger = sample_lake
    shutil.copytree(lake, settings["lake"])
    return ledger


@pytest.fixture(scope="session")
def few_lake(
    _prefect: None, registry: Registry, few: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ledger]:
    """The lake of an undisturbed backfill over `few`, to be read alone, and what the run said of itself."""
    return make_once(tmp_path_factory, "few-lake", _backfill(few, registry))


@pytest.fixture
def published_few(settings: dict[str, Any], few: Path, few_lake: tuple[Path, Ledger]) -> dict[str, Any]:
    """Flags whose corpus is `few`, with a lake of the test's own where all of it is published."""
    shutil.copytree(few_lake[0], settings["lake"])
    return settings | {"corpus": str(few)}


def _backfill(corpus: Path, registry: Registry) -> Callable[[Path], tuple[Path, Ledger]]:
    def make(folder: Path) -> tuple[Path, Ledger]:
        where = {"corpus": str(corpus), "lake": str(folder / "lake"), "registry": registry.uri}
        return folder / "lake", replace(backfill(settings=where | {"cluster": "threads", "workers": 2}))

    return make


@pytest.fixture(scope="session")
def nights_lake(
    _prefect: None, registry: Registry, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Flags of a lake to be read alone: the sample's three nights, a publication each, in many small files."""

    def make(folder: Path) -> dict[str, Any]:
        flags = {"corpus": str(sample), "lake": str(folder / "lake"), "registry": registry.uri, "cluster": "threads"}
        flags |= {"workers": 1, "shard_bytes": 250_000}
        for day in (19, 20, 21):
            nightly(date=dt.date(2026, 11, day), settings=flags | {"look_back_days": 0})
        return flags

    return make_once(tmp_path_factory, "nights-lake", make)


@pytest.fixture(scope="session")
def command(_prefect: None, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """`undertone …` as real processes, on the session's Prefect server; $WRONG_BY_S sets one's clock wrong."""
    folder = tmp_path_factory.mktemp("command")
    environment = {
        "PREFECT_API_URL": PREFECT_API_URL.value(),
        "PREFECT_HOME": str(folder / "prefect"),
        "UNDERTONE_REGISTRY": registry.uri,
        **wrong_clock(folder),
    }
    with warm(**environment) as parent:
        yield parent


@pytest.fixture
def undertone(command: Warm, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`undertone …` from its beginning to its end, in the working folder of the moment."""
    number = itertools.count()

    def do(*argv: str, **more: str) -> "subprocess.CompletedProcess[str]":
        out, err = (tmp_path / f"command-{next(number)}" for _ in range(2))
        child = command.born(*argv, said=out, complained=err, **more)
        child.go()
        return subprocess.CompletedProcess(argv, child.wait(), out.read_text(), err.read_text())

    return do


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days, two voices, three files, one of them empty."""
    files = ("19/call-0001-voice-a.flac", "19/call-0032-empty.wav", "20/call-0012-voice-b.flac")
    return make_once(tmp_path_factory, "few", lambda folder: sample_corpus(folder, *files))


@pytest.fixture(scope="session")
def shared_corpora() -> Path:
    if not SHARED_CORPORA.is_dir():
        pytest.skip("the real speech of ../shared/corpora is not on this machine")
    return SHARED_CORPORA


@pytest.fixture
def contents() -> Callable[[str | Path], dict[str, pl.DataFrame]]:
    """What every table of a lake says, sorted by key, without what differs between any two runs.

    Nor what another corpus calls itself, nor the last digits that decide in which bucket a feature lies.
    """
    own = ("run_id", "uri", "modified", "etag", "read_at", "source", "buckets", "counts", "total")

    def read(uri: str | Path, *, but: tuple[str, ...] = own) -> dict[str, pl.DataFrame]:
        lake = Lake(str(uri))
        tables = {}
        for table, key in TABLE_KEYS.items():
            if table == "runs" or lake.delta(table) is None:
                continue
            frame = lake.scan(table).collect()
            if "uri" in frame.columns:
                frame = frame.with_columns(file=pl.col("uri").str.extract(r"([^/]+)$"))
            order = ["file" if name == "uri" else name for name in key if name == "uri" or name not in but]
            tables[table] = frame.drop([name for name in but if name in frame.columns]).sort(order)
        return tables

    return read
