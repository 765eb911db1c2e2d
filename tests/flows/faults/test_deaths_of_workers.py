"""Promises 1 and 3 with real worker deaths: everything else is published as usual."""

import polars as pl
import pytest
from helpers.corpora import sample_corpus
from helpers.dask_defaults import dask_defaults
from helpers.explore_profile import unless_exploring
from polars.testing import assert_frame_equal

from data_contracts.lake import Lake
from flows.backfill import backfill

FLOAT = {"check_exact": False, "abs_tol": 1e-3, "rel_tol": 1e-3}

DEADLY = """
import os, pathlib, signal, time
from features.corpus import object_cache
from features.extraction import long_recording, prefetch, shard

def once():
    "Of all workers together: True for one, and False from then on."
    try:
        pathlib.Path({marker!r}).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def swell():
    hog = []
    while True:
        hog.append(bytearray(100_000_000))
        time.sleep(0.01)

def over(item):
    if {name!r} in item.uri:
        {deed}

reads, holds = prefetch.fetch_ahead, object_cache.fetch_shared

def fetched(items, **options):
    for found in reads(items, **options):
        over(found.item)
        yield found

def held(item, *arguments):
    over(item)
    return holds(item, *arguments)

shard.fetch_ahead, long_recording.fetch_shared = fetched, held
"""


@pytest.fixture
def corpus(tmp_path):
    """Four recordings of one date."""
    names = ("call-0001-voice-a", "call-0002-voice-b", "call-0003-voice-c", "call-0005-voice-e")
    return sample_corpus(tmp_path / "corpus", *(f"19/{name}.flac" for name in names)) / "2026" / "11" / "19"


@pytest.fixture
def deadly(tmp_path):
    """Workers do a deed, a line of Python, when they come upon a recording."""

    def workers(deed, name):
        path = tmp_path / "deadly.py"
        path.write_text(DEADLY.format(deed=deed, name=name, marker=str(tmp_path / "once")))
        return dask_defaults({"distributed.worker.preload": [str(path)]})

    return workers


def _run(settings, corpus, lake, **more):
    there = settings | {"corpus": str(corpus.parents[2]), "lake": str(lake), "memory_mb": 1_300} | more
    return backfill(settings=there), Lake(str(lake))


def _same_but(name, contents, one, other):
    left, right = contents(one), contents(other)
    assert left["utterances"].height
    for table in ("recordings", "utterances", "emotion_daily"):
        ours, theirs = left[table], right[table]
        if table == "recordings" and name:
            ours = ours.filter(pl.col("file") != name)
        assert_frame_equal(ours, theirs, **FLOAT)


def test_one_dead_worker_changes_nothing(settings, corpus, deadly, contents, tmp_path):
    name = sorted(path.name for path in corpus.iterdir())[1]
    _run(settings, corpus, tmp_path / "calm")
    with deadly("once() and die()", name):
        ledger, _ = _run(settings, corpus, tmp_path / "lake", cluster="processes")
    assert (tmp_path / "once").exists(), "a worker died"
    assert ledger.extracted.n_rejected == 0
    _same_but(None, contents, tmp_path / "lake", tmp_path / "calm")


@pytest.mark.slow
@pytest.mark.parametrize("deed", unless_exploring(["swell()"], ["die()", "swell()"]))
def test_the_culprit_alone_becomes_a_reject(settings, corpus, deadly, contents, tmp_path, deed):
    """A shard is tried again, then in halves; what is left of it is one recording, to be tried on three nights."""
    name = sorted(path.name for path in corpus.iterdir())[1]
    (corpus / name).rename(tmp_path / name)
    _run(settings, corpus, tmp_path / "calm")
    (tmp_path / name).rename(corpus / name)
    with deadly(deed, name):
        ledger, lake = _run(settings, corpus, tmp_path / "lake", cluster="processes")
    assert (ledger.status, ledger.extracted.n_objects, ledger.extracted.n_rejected) == ("done", 4, 1)
    (reject,) = lake.scan("rejects").collect().to_dicts()
    assert (reject["reason"], reject["tries"]) == ("unreadable", 1)
    assert name in reject["uri"]
    assert "workers died, or ran out of memory, 4 times over it" in reject["error"]
    _same_but(name, contents, tmp_path / "lake", tmp_path / "calm")
