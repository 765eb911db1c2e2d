"""Manual speaker edits hold on later nights, in backfills, and under another encoder."""

import datetime as dt
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
from helpers.corpora import sample_corpus
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from data_contracts.lake import Lake
from data_contracts.schema.tables import FORGOTTEN_ID
from flows.analytics.sql import query
from flows.backfill import backfill
from flows.cli.doctor import examine
from flows.cli.main import app
from flows.enroll import enroll
from flows.nightly import nightly
from flows.settings import Settings
from flows.terminal.progress import SilentReporter, reporter
from models.registry.loading import weights_folder
from models.speaker.model import SpeakerModel
from tasks.speakers import curation

NIGHT = "2026/11/19"
FLOAT = {"check_exact": False, "abs_tol": 1e-3, "rel_tol": 1e-3}


@pytest.fixture
def other_encoder(own_registry, tmp_path):
    """Promotes an encoder that tells voices apart as the champion does, in a space that has nothing to do with it."""

    def promote() -> str:
        model = SpeakerModel.load(weights_folder(own_registry.champion("speaker")))
        last = model.encoder.fc.conv
        turned = torch.randperm(len(last.weight), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            last.weight.copy_(-last.weight[turned])
            last.bias.copy_(-last.bias[turned])
        model = SpeakerModel(model.encoder, model.config, threshold=model.threshold, calibration=model.calibration)
        model.save(tmp_path / "other")
        ref = own_registry.register("speaker", tmp_path / "other", alias="challenger", description="another space")
        own_registry.promote("speaker", ref.version)
        return model.extractor_digest

    return promote


@pytest.fixture
def stage_messages():
    """Output of the runs."""

    class Heard(SilentReporter):
        lines: list[str]

        def say(self, _stage, words):
            self.lines.append(words)

    heard = Heard()
    heard.lines = []
    token = reporter.set(heard)
    yield heard.lines
    reporter.reset(token)


def test_a_found_voice_that_was_named_is_known_the_next_night(settings, tmp_path):
    nights = ("19/call-0001-voice-a.flac", "19/call-0002-voice-b.flac", "20/call-0011-voice-a.flac")
    here = settings | {"corpus": str(sample_corpus(tmp_path / "corpus", *nights)), "look_back_days": 0}
    nightly(date=dt.date(2026, 11, 19), settings=here)
    lake = Lake(here["lake"])
    found = _speaker_of(lake, "call-0001-voice-a")
    curation.rename(lake, found, "Ada")
    nightly(date=dt.date(2026, 11, 20), settings=here)
    said = lake.scan("utterances").filter(pl.col("speaker_id") == found).collect()
    assert said["date"].n_unique() == 2
    assert said["speaker_known"].all()
    (ada,) = lake.scan("speakers").filter(speaker_id=found).collect().to_dicts()
    assert (ada["name"], ada["kind"], ada["n_utterances"]) == ("Ada", "enrolled", len(said))


def test_merged_stays_merged_and_forgotten_is_founded_again(settings, contents, published):
    lake = Lake(settings["lake"])
    people = lake.scan("speakers").sort("n_utterances", descending=True).collect()["speaker_id"].to_list()
    keep, gone = people[:2]
    curation.merge(lake, keep, [gone])
    who, people = _speakers_by_utterance(lake), contents(lake.uri)["speakers"]
    backfill(stage="score", force=True, settings=settings)
    assert _speakers_by_utterance(lake) == who
    assert_frame_equal(contents(lake.uri)["speakers"], people, **FLOAT)
    row = curation.forget(lake, keep)
    assert lake.scan("utterances").filter(speaker_id=FORGOTTEN_ID).collect().height == row["n_utterances"]
    assert lake.scan("speakers").collect()["speaker_id"].is_in([keep, gone]).sum() == 0
    backfill(stage="score", force=True, settings=settings)
    assert lake.scan("utterances").filter(speaker_id=FORGOTTEN_ID).collect().height == 0
    total = lake.scan("utterances").collect().height
    assert lake.scan("speakers").collect()["n_utterances"].sum() == total


def test_another_encoder_keeps_names_and_pseudonyms(settings, published, own_registry, other_encoder, stage_messages):
    here = settings | {"registry": own_registry.uri}
    lake = Lake(here["lake"])
    curation.rename(lake, _speaker_of(lake, "call-0002-voice-b"), "Grace")
    enroll(Settings.load(**here), "Ada", [str(Path(here["corpus"]) / NIGHT / "call-0001-voice-a.flac")])
    backfill(stage="score", force=True, settings=here)
    before = _speakers_by_utterance(lake)
    assert set(lake.scan("speakers").filter(kind="enrolled").collect()["name"]) == {"Ada", "Grace"}
    extractor = other_encoder()
    ledger = backfill(settings=here)
    assert ledger.n_new_speakers == 0
    assert _speakers_by_utterance(lake) == before
    assert any("known from another encoder" in line for line in stage_messages)
    people = lake.scan("speakers").collect()
    assert people["extractor"].unique().to_list() == [extractor]
    assert set(people.filter(kind="enrolled")["name"]) == {"Ada", "Grace"}
    assert people["n_utterances"].sum() == len(lake.scan("utterances").collect())
    backfill(force=True, stage="score", settings=here)
    assert _speakers_by_utterance(lake) == before


def test_where_no_source_can_be_read_the_utterances_tell_who_it_was(
    settings, own_registry, other_encoder, stage_messages, sample, tmp_path
):
    corpus = tmp_path / "corpus"
    shutil.copytree(sample / NIGHT, corpus / NIGHT)
    here = settings | {"registry": own_registry.uri, "corpus": str(corpus)}
    for name, file in (("Ada", f"{NIGHT}/call-0001-voice-a.flac"), ("Zoe", "2026/11/21/call-0023-voice-c.flac")):
        shutil.copy(sample / file, tmp_path / f"{name}.flac")
        enroll(Settings.load(**here), name, [str(tmp_path / f"{name}.flac")])
        (tmp_path / f"{name}.flac").unlink()
    for voice in ("voice-c", "voice-d", "voice-e"):  # Zoe's, and those that an encoder may take for hers or Ada's
        _without(corpus, voice)
    backfill(settings=here)
    lake = Lake(here["lake"])
    before = _speakers_by_utterance(lake)
    assert "ada" in before.values()
    old = lake.scan("speakers").filter(speaker_id="zoe").collect()["extractor"][0]
    extractor = other_encoder()
    backfill(stage="features", settings=here)
    backfill(stage="score", settings=here | {"corpus": ""})
    assert _speakers_by_utterance(lake) == before
    assert any(
        "1 known voice(s) are in the space of another encoder" in line and "Zoe" in line for line in stage_messages
    )
    spaces = dict(lake.scan("speakers").select("speaker_id", "extractor").collect().iter_rows())
    assert (spaces["ada"], spaces["zoe"]) == (extractor, old)
    stage_messages.clear()
    backfill(force=True, settings=here)
    assert any("Zoe was enrolled under another encoder" in line and "Zoe.flac" in line for line in stage_messages)
    (finding,) = [found for found in examine(here) if found.what == "speakers"]
    assert finding.state == "note"
    assert "1 of 2 known by name" in finding.words
    assert "Zoe" in finding.words


def test_the_commands(settings, published):
    lake = Lake(settings["lake"])
    at = ["--lake", settings["lake"]]
    listed = _json("speakers", *at)
    assert listed == _json("speakers", "list", *at)
    assert len(listed) == lake.scan("speakers").collect().height
    first, second, third = (row["speaker_id"] for row in listed[:3])
    named = _json("speakers", "rename", first, "Ada Lovelace", *at)
    assert (named["name"], named["kind"]) == ("Ada Lovelace", "enrolled")
    assert "centroid" not in named
    merged = _json("speakers", "merge", "ada lovelace", second, third, *at)
    assert merged["n_utterances"] == sum(row["n_utterances"] for row in listed[:3])
    assert {row["speaker_id"] for row in _json("speakers", *at)} == {row["speaker_id"] for row in listed} - {
        second,
        third,
    }
    ada = query(lake, f"SELECT kind FROM speakers WHERE kind = 'enrolled' AND speaker_id = '{first}'").to_pylist()
    assert ada == [{"kind": "enrolled"}], "a merge writes string views, which Arrow could not compare with strings"
    answer = CliRunner().invoke(app, ["speakers", "forget", "Ada Lovelace", "--vacuum", *at])
    assert answer.exit_code == 0
    for words in (f"{first} is forgotten", "3 row(s)", "Older versions of the tables were removed", "embeddings"):
        assert words in answer.output
    assert lake.scan("utterances").filter(speaker_id=FORGOTTEN_ID).collect().height == merged["n_utterances"]
    assert {row["flow"] for row in _json("runs", *at)} == {
        "backfill",
        "speakers rename",
        "speakers merge",
        "speakers forget",
    }


def _json(*arguments):
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def _speaker_of(lake: Lake, file: str) -> str:
    recording = lake.scan("recordings").filter(pl.col("uri").str.contains(file)).collect()["recording_id"][0]
    return lake.scan("utterances").filter(recording_id=recording).collect()["speaker_id"][0]


def _speakers_by_utterance(lake: Lake) -> dict[tuple[str, int], str]:
    rows = lake.scan("utterances").select("recording_id", "segment", "speaker_id").collect().iter_rows()
    return {(recording, segment): speaker for recording, segment, speaker in rows}


def _without(corpus: Path, part: str) -> None:
    for path in corpus.rglob(f"*{part}*"):
        path.unlink()
