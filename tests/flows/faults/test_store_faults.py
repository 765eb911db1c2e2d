"""A store that misbehaves during a run: the tables equal an undisturbed run's, at once or after the next run."""

import io

import boto3
import polars as pl
import pytest
from helpers.corpora import sample_corpus
from helpers.explore_profile import EXPLORES, only_exploring, unless_exploring
from helpers.faulty_s3 import TRANSIENT, Fault
from helpers.once import make_once
from helpers.tables import assert_same_tables

from data_contracts.errors import CredentialsError, TransientError
from data_contracts.lake import Lake
from flows.backfill import backfill
from flows.workers.embedded_s3 import upload

FILES = ["call-0001-voice-a.flac", "call-0002-voice-b.flac", "call-0005-voice-e.flac", "call-0032-empty.wav"]
DAY = "2026/11/19"
AUDIO = f"GET /[^?]*/calls/{DAY}/"


@pytest.fixture
def corpus(tmp_path):
    """A few files of one day."""
    return sample_corpus(tmp_path / "calls", *(f"19/{name}" for name in FILES), date=DAY)


@pytest.fixture
def here(settings, corpus, s3, faulty):
    """Corpus and lake in a store behind the proxy. Nobody waits long, as everything here is quick."""
    upload(corpus, s3, "calls/")
    there = {"corpus": f"s3://{s3}/calls", "lake": f"s3://{s3}/lake"}
    return settings | there | {"store_patience_s": 30.0, "store_timeout_s": 1.0}


@pytest.fixture
def undisturbed(settings, tmp_path_factory, contents):
    """The tables of a run over the same files that nothing befell."""

    def read(*, but=()):
        def make(folder):
            files = [f"19/{name}" for name in FILES if name not in but]
            corpus = sample_corpus(folder / "calls", *files, date=DAY)
            backfill(settings=settings | {"corpus": str(corpus), "lake": str(folder / "lake")})
            return contents(folder / "lake")

        return make_once(tmp_path_factory, f"undisturbed-but-{len(but)}", make)

    return read


@pytest.mark.slow
@pytest.mark.parametrize("kind", unless_exploring(["any"], ["any", *TRANSIENT]))
def test_one_request_in_twenty_fails(kind, here, faulty, contents, undisturbed):
    faulty.do(Fault(kind, share=0.05))
    ledger = backfill(settings=here)
    assert (ledger.extracted.n_objects, ledger.extracted.n_rejected) == (4, 1)
    faulty.do()
    done = [done for _, done in faulty.log]
    assert len(done) - done.count("pass") > 3, "it was disturbed"
    assert_same_tables(contents(here["lake"]), undisturbed())
    assert backfill(settings=here).n_published_recordings == 0


@only_exploring
def test_an_outage_in_mid_run_is_waited_for(here, faulty, contents, undisturbed):
    """While audio is read, and again while it is published. No recording is marked for what is the store's fault."""
    outage_s = 30.0
    there = here | {"store_patience_s": 4 * outage_s}
    faulty.do(
        Fault("outage", on=AUDIO, times=1, seconds=outage_s),
        Fault("outage", on="PUT .*/analytics/utterances/_delta_log/", times=1, seconds=outage_s),
    )
    ledger = backfill(settings=there)
    faulty.do()
    assert [done for _, done in faulty.log].count("outage") == 2
    assert ledger.extracted.n_rejected == 1, "the empty one"
    assert_same_tables(contents(here["lake"]), undisturbed())


@pytest.mark.parametrize("where", unless_exploring([AUDIO], [AUDIO, "GET .*/features/", "PUT .*/_delta_log/"]))
def test_credentials_that_run_out_stop_the_run_and_mark_nothing(where, here, faulty, contents, undisturbed):
    """Every recording once became `access_denied`; after three such nights all of them would have been left alone."""
    faulty.do(Fault("expired", on=where, first=2, and_all=True))
    with pytest.raises(CredentialsError, match=r"ExpiredToken.*renew them .* and run again: it goes on from here"):
        backfill(settings=here)
    faulty.do()
    assert _reasons(Lake(here["lake"])) <= {None, "empty"}
    backfill(settings=here)
    assert_same_tables(contents(here["lake"]), undisturbed())


def _reasons(lake):
    """Reasons in every row of the feature store."""
    files = lake.fs.find(f"{lake.path}/features/recordings")
    return {reason for file in files for reason in pl.read_parquet(io.BytesIO(lake.fs.cat_file(file)))["reason"]}


def test_one_that_vanishes_before_it_is_read_is_a_reject(here, faulty, contents, undisturbed):
    faulty.do(Fault("delete", on=f"{AUDIO}{FILES[1]}", times=1))
    ledger = backfill(settings=here)
    faulty.do()
    assert (ledger.extracted.n_objects, ledger.extracted.n_rejected) == (4, 2)
    tables = contents(here["lake"])
    assert dict(tables["rejects"].select("file", "reason").rows()) == {FILES[1]: "vanished", FILES[3]: "empty"}
    without = undisturbed(but=(FILES[1],))
    said = ("utterances", "speakers", "emotion_daily", "speaker_daily", "feature_daily")  # others tell of the reject
    assert_same_tables(*({name: side[name] for name in said} for side in (tables, without)))


@only_exploring
@pytest.mark.parametrize("source", unless_exploring([FILES[2]], [FILES[2], "call-0023-voice-c.flac"]))
def test_one_that_is_overwritten_before_it_is_read_is_taken_by_the_next_run(
    source, here, settings, faulty, contents, sample, corpus
):
    """Content stored under an etag is that etag's, and a copy of another file counts once.

    That the tables are those of a file that came a night later is left to explore: it takes two runs more.
    """
    data = next((sample / "2026/11").glob(f"*/{source}")).read_bytes()
    listed = boto3.client("s3").head_object(Bucket=here["corpus"].split("/")[2], Key=f"calls/{DAY}/{FILES[1]}")["ETag"]
    faulty.do(Fault("put", on=f"{AUDIO}{FILES[1]}", times=1, data=data.hex()))
    ledger = backfill(settings=here)
    faulty.do()
    assert ledger.extracted.n_rejected == 2
    (row,) = Lake(here["lake"]).scan("rejects").filter(pl.col("uri").str.ends_with(FILES[1])).collect().to_dicts()
    assert (row["reason"], row["etag"]) == ("vanished", listed.strip('"'))
    assert backfill(settings=here).n_published_recordings == 1
    if not EXPLORES:
        return
    (corpus / DAY / FILES[1]).unlink()  # as if it had come a night later: a voice is scored by what is known of it
    backfill(settings=settings | {"corpus": str(corpus)})
    (corpus / DAY / FILES[1]).write_bytes(data)
    backfill(settings=settings | {"corpus": str(corpus)})
    assert_same_tables(contents(here["lake"]), contents(settings["lake"]))


@only_exploring
def test_a_store_that_stays_away_ends_the_run_and_the_next_goes_on(here, faulty, contents, undisturbed):
    faulty.do(Fault("outage", on=AUDIO, first=2, times=1, seconds=3600.0))
    with pytest.raises(TransientError, match=r"run again when"):
        backfill(settings=here | {"store_patience_s": 0.5, "shard_tries": 1})
    faulty.do()
    assert _reasons(Lake(here["lake"])) <= {None, "empty"}
    backfill(settings=here)
    assert_same_tables(contents(here["lake"]), undisturbed())
