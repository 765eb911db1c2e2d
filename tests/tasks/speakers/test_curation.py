"""What a person says of speakers: the tables agree afterwards, whoever dies on the way, and nobody is mistaken."""

import datetime as dt

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import tasks.publication.publish
from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import newest_versions
from data_contracts.schema.tables import (
    EMOTION_DAILY,
    FORGOTTEN_ID,
    RECORDINGS,
    SPEAKERS,
    TABLE_KEYS,
    utterances_schema,
)
from tasks.aggregates.emotion_daily import emotion_daily, speaker_daily, speaker_sums
from tasks.publication.manual_change import ManualChange, publish_manual_change
from tasks.speakers import curation
from tasks.speakers.gallery import voiceprints
from tasks.speakers.lookup import load_speakers
from tasks.stages.publish import roll_forward

DAYS = [dt.date(2026, 11, day) for day in (19, 20)]
SAID = [  # recording, segment, day, seconds, speaker
    ("a", 0, 0, 2.0, "ada-lovelace"),
    ("a", 1, 0, 1.0, "spk_b"),
    ("b", 0, 1, 4.0, "spk_b"),
    ("c", 0, 1, 3.0, "spk_c"),
]
SOURCES = {"a": "north", "b": "north", "c": "south"}
PEOPLE = {"ada-lovelace": ("Ada Lovelace", "enrolled"), "spk_b": ("spk_b", "found"), "spk_c": ("spk_c", "found")}


class Killed(BaseException):
    """Nothing may catch it, as nothing catches a kill."""


@pytest.fixture
def lake(lake):
    """Three speakers on two days, published."""
    utterances = pa.Table.from_pylist([_utterance(*said) for said in SAID], schema=utterances_schema(("anger",)))
    said = pl.DataFrame(utterances)
    sums = {row["speaker_id"]: row for row in speaker_sums(said.lazy()).collect().to_dicts()}
    people = [_person(n, *person, sums[person[0]]) for n, person in enumerate(PEOPLE.items())]
    daily = speaker_daily(said.lazy()).collect()
    tables = {
        "utterances": utterances,
        "speakers": pa.Table.from_pylist(people, schema=SPEAKERS),
        "recordings": _recordings(),
        "emotion_daily": _emotions(said).to_arrow().cast(EMOTION_DAILY),
        "speaker_daily": daily.to_arrow(),
    }
    publish_manual_change(lake, "a run", lambda _: ManualChange(tables, days=tuple(DAYS)))
    return lake


def test_a_found_voice_gets_a_name_and_is_known_by_it(lake):
    row = curation.rename(lake, "spk_b", "Ben")
    assert (row["speaker_id"], row["name"], row["kind"]) == ("spk_b", "Ben", "enrolled")
    said = lake.scan("utterances").sort("recording_id", "segment").collect()
    assert said["speaker_id"].to_list() == [who for *_, who in SAID], "the id is what other tables hold"
    assert said["speaker_known"].to_list() == [True, True, True, False]
    assert {v.speaker_id: v.known for v in voiceprints(load_speakers(lake), "e1")}["spk_b"]
    _consistent(lake)
    assert curation.rename(lake, "ben", "Benjamin")["name"] == "Benjamin"
    _consistent(lake)


def test_named_the_same_again_publishes_nothing(lake):
    curation.rename(lake, "spk_b", "Ben")
    before = newest_versions(lake)
    curation.rename(lake, "Ben", "Ben")
    assert newest_versions(lake) == before


def test_two_become_one_in_every_table(lake):
    row = curation.merge(lake, "Ada Lovelace", ["spk_b"])
    assert (row["n_utterances"], row["speech_s"], row["last_seen"]) == (3, 7.0, DAYS[1])
    said = lake.scan("utterances").sort("recording_id", "segment").collect()
    assert said["speaker_id"].to_list() == ["ada-lovelace"] * 3 + ["spk_c"]
    assert said["speaker_known"].to_list() == [True, True, True, False]
    (merged,) = lake.scan("speakers").filter(kind="merged").collect().to_dicts()
    assert (merged["speaker_id"], merged["merged_into"], merged["n_utterances"]) == ("spk_b", "ada-lovelace", 0)
    _consistent(lake)


def test_whoever_is_near_a_merged_voice_is_its_survivor(lake):
    curation.merge(lake, "spk_c", ["spk_b"])
    curation.merge(lake, "ada-lovelace", ["spk_c"])
    voices = voiceprints(load_speakers(lake), "e1")
    assert [voice.speaker_id for voice in voices] == ["ada-lovelace"] * 3
    assert all(voice.known for voice in voices)
    assert len({voice.centroid.tobytes() for voice in voices}) == 3


def test_merged_twice_is_merged_once(lake):
    first = curation.merge(lake, "ada-lovelace", ["spk_b", "spk_b"])
    before = newest_versions(lake)
    again = curation.merge(lake, "ada-lovelace", ["spk_b"])
    assert newest_versions(lake) == before
    assert again["n_utterances"] == first["n_utterances"]


@pytest.mark.parametrize("table", ["utterances", "speakers", "speaker_daily", "runs"])
def test_a_merge_that_died_is_finished(table, lake, monkeypatch):
    commit = tasks.publication.publish.commit

    def die_at(at, change, *arguments, **options):
        if change.table == table:
            raise Killed
        commit(at, change, *arguments, **options)

    with monkeypatch.context() as death:
        death.setattr(tasks.publication.publish, "commit", die_at)
        with pytest.raises(Killed):
            curation.merge(lake, "ada-lovelace", ["spk_b"])
    assert len(roll_forward.fn(lake)) == 1
    assert lake.scan("utterances").filter(speaker_id="ada-lovelace").collect().height == 3
    assert lake.scan("runs").filter(flow="speakers merge").collect().height == 1
    assert lake.names("staging") == ["publishing"]
    _consistent(lake)


def test_nobody_publishes_over_a_merge_that_died(lake, monkeypatch):
    """Half of it was lost where another publication came before the next run's beginning."""
    commit = tasks.publication.publish.commit

    def die_at_speakers(at, change, *arguments, **options):
        if change.table == "speakers":
            raise Killed
        commit(at, change, *arguments, **options)

    with monkeypatch.context() as death:
        death.setattr(tasks.publication.publish, "commit", die_at_speakers)
        with pytest.raises(Killed):
            curation.merge(lake, "ada-lovelace", ["spk_b"])
    curation.rename(lake, "spk_c", "Cleo")
    assert set(lake.scan("speakers").filter(kind="merged").collect()["speaker_id"]) == {"spk_b"}
    _consistent(lake)


def test_of_the_forgotten_nothing_stays_but_what_was_said(lake):
    curation.rename(lake, "spk_b", "Ben")
    curation.merge(lake, "Ben", ["spk_c"])
    row = curation.forget(lake, "Ben")
    assert (row["n_voices"], row["n_utterances"]) == (2, 3)
    assert lake.scan("speakers").collect()["speaker_id"].to_list() == ["ada-lovelace"]
    said = lake.scan("utterances").sort("recording_id", "segment").collect()
    assert said["speaker_id"].to_list() == ["ada-lovelace", FORGOTTEN_ID, FORGOTTEN_ID, FORGOTTEN_ID]
    assert said["speaker_known"].to_list() == [True, False, False, False]
    assert said["start_s"].null_count() == 0
    runs = lake.scan("runs").filter(flow="speakers forget").collect()
    assert "Ben" not in str(runs.to_dicts())
    _consistent(lake)
    with pytest.raises(UsageError, match="no speaker is called 'Ben'"):
        curation.forget(lake, "Ben")


def test_a_merged_voice_is_forgotten_by_its_id(lake):
    curation.merge(lake, "ada-lovelace", ["spk_b"])
    assert curation.forget(lake, "spk_b")["n_utterances"] == 0
    assert lake.scan("speakers").collect()["speaker_id"].sort().to_list() == ["ada-lovelace", "spk_c"]
    assert lake.scan("utterances").filter(speaker_id="ada-lovelace").collect().height == 3


def test_without_history_the_name_can_be_read_nowhere(lake):
    curation.rename(lake, "spk_b", "Benedikt")
    curation.forget(lake, "Benedikt")
    assert _parquet_with(lake, "Benedikt")
    assert curation.remove_history(lake) > 0
    assert not _parquet_with(lake, "Benedikt")
    assert lake.scan("utterances").collect().height == len(SAID)
    _consistent(lake)


def test_who_is_not_known_hears_who_is_near(lake):
    with pytest.raises(UsageError, match=r"'Ada Lovlace'; did you mean Ada Lovelace"):
        curation.rename(lake, "Ada Lovlace", "Ada")
    with pytest.raises(UsageError, match="undertone speakers` lists"):
        curation.forget(lake, "zzz")


def test_a_name_of_two_is_ambiguous(lake):
    rows = [{**row, "name": "Ben"} for row in load_speakers(lake).filter(kind="found").to_dicts()]
    publish_manual_change(
        lake, "by hand", lambda _: ManualChange({"speakers": pa.Table.from_pylist(rows, schema=SPEAKERS)})
    )
    with pytest.raises(UsageError, match="'Ben' is the name of spk_b, spk_c"):
        curation.merge(lake, "ada-lovelace", ["Ben"])


@pytest.mark.parametrize("name", ["Ada Lovelace", "ADA LOVELACE", "ada-lovelace"])
def test_a_name_is_one_persons(lake, name):
    with pytest.raises(UsageError, match="undertone speakers merge ada-lovelace spk_b"):
        curation.rename(lake, "spk_b", name)


@pytest.mark.parametrize(("name", "words"), [("!?", "letter or a digit"), ("Forgotten", "were forgotten")])
def test_not_everything_is_a_name(lake, name, words):
    with pytest.raises(UsageError, match=words):
        curation.rename(lake, "spk_b", name)


def test_merges_that_cannot_be_meant(lake):
    with pytest.raises(UsageError, match="merged with itself"):
        curation.merge(lake, "spk_b", ["spk_b"])
    with pytest.raises(UsageError, match="undertone speakers merge ada-lovelace spk_b"):
        curation.merge(lake, "spk_b", ["ada-lovelace"])
    curation.merge(lake, "ada-lovelace", ["spk_b"])
    with pytest.raises(UsageError, match=r"was merged into Ada Lovelace \(ada-lovelace\)"):
        curation.rename(lake, "spk_b", "Ben")
    with pytest.raises(UsageError, match="merged into ada-lovelace already"):
        curation.merge(lake, "spk_c", ["spk_b"])
    _consistent(lake)


def test_enrolling_a_named_voice_keeps_its_id(lake):
    curation.rename(lake, "spk_b", "Ben")
    row = curation.enroll(lake, _enrolment("Ben"))
    assert (row["speaker_id"], row["n_utterances"]) == ("spk_b", 2)
    assert curation.enroll(lake, _enrolment("Zoe"))["speaker_id"] == "zoe"
    curation.merge(lake, "Ben", ["zoe"])
    with pytest.raises(UsageError, match="zoe was merged into spk_b"):
        curation.enroll(lake, _enrolment("Zoe"))


def test_a_lake_from_before_there_were_merges(tmp_path):
    lake = Lake(str(tmp_path))
    people = pa.Table.from_pylist(
        [_person(0, "spk_b", ("spk_b", "found"), {"n_utterances": 0, "speech_s": 0.0})], schema=SPEAKERS
    )
    publish_manual_change(
        lake, "an older version", lambda _: ManualChange({"speakers": people.drop_columns(["merged_into"])})
    )
    assert "merged_into" not in lake.scan("speakers").collect_schema()
    assert voiceprints(load_speakers(lake), "e1")[0].speaker_id == "spk_b"
    curation.enroll(lake, _enrolment("Ben"))
    curation.merge(lake, "Ben", ["spk_b"])
    assert dict(lake.scan("speakers").select("speaker_id", "merged_into").collect().iter_rows()) == {
        "ben": None,
        "spk_b": "ben",
    }


def _consistent(lake):
    """Sums are those of the utterances, and everybody who speaks has a row."""
    said = lake.scan("utterances")
    sums = speaker_sums(said).sort("speaker_id").collect()
    people = lake.scan("speakers").filter(pl.col("n_utterances") > 0).sort("speaker_id").collect()
    columns = ["speaker_id", "first_seen", "last_seen", "n_utterances", "speech_s"]
    assert people.select(columns).rows() == sums.filter(pl.col("speaker_id") != FORGOTTEN_ID).select(columns).rows()
    daily = lake.scan("speaker_daily").sort("date", "speaker_id", "emotion").collect()
    assert daily.rows() == speaker_daily(said).collect().rows()
    emotions = lake.scan("emotion_daily").sort(TABLE_KEYS["emotion_daily"]).collect()
    assert emotions.rows() == _emotions(said.collect()).rows()


def _emotions(said):
    return emotion_daily(said.with_columns(source=pl.col("recording_id").replace_strict(SOURCES)))


def _recordings():
    """One of them as it was published before recordings had a source: its folder says it."""
    told = {"etag": "e", "status": "ok", "run_id": "r0"}
    days = {recording_id: DAYS[day] for recording_id, _, day, *_ in SAID}
    rows = [
        told | {"uri": f"s3://calls/{days[name]:%Y/%m/%d}/{source}/{name}.flac", "recording_id": name, "source": source}
        for name, source in SOURCES.items()
    ]
    rows[0]["source"] = None
    dated = [row | {"date": days[row["recording_id"]]} for row in rows]
    return pl.DataFrame(dated, schema=pl.DataFrame(RECORDINGS.empty_table()).schema).to_arrow()


def _parquet_with(lake, word):
    files = lake.fs.find(f"{lake.path}/analytics/speakers")
    names = [set(pl.read_parquet(file)["name"]) for file in files if file.endswith(".parquet")]
    return any(word in found for found in names)


def _enrolment(name):
    return {"name": name, "kind": "enrolled", "centroid": [0.0, 1.0], "extractor": "e1", "sources": ["x.flac"]}


def _person(n, speaker_id, called, sums):
    name, kind = called
    return {
        **sums,
        "speaker_id": speaker_id,
        "name": name,
        "kind": kind,
        "centroid": np.eye(4)[n].tolist(),
        "extractor": "e1",
        "sources": [],
        "run_id": "r0",
    }


def _utterance(recording_id, segment, day, seconds, speaker):
    return {
        "recording_id": recording_id,
        "channel": 0,
        "segment": segment,
        "start_s": 0.0,
        "end_s": seconds,
        "emotion": "anger",
        "score_anger": 1.0,
        "speaker_id": speaker,
        "speaker_score": 1.0,
        "speaker_known": PEOPLE[speaker][1] == "enrolled",
        "emotion_model": "e/1",
        "speaker_model": "s/1",
        "feature_version": "v",
        "run_id": "r0",
        "date": DAYS[day],
    }
