"""Manual edits of speakers: all tables agree afterwards, and older lakes can be edited too."""

import polars as pl
import pyarrow as pa
import pytest
from helpers.three_speakers import DAYS, UTTERANCES, check_tables_agree, enrollment, speaker_row

from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import newest_versions
from data_contracts.schema.tables import FORGOTTEN_ID, SPEAKERS, utterances_schema
from tasks.publication.manual_change import ManualChange, publish_manual_change
from tasks.speakers import curation
from tasks.speakers.gallery import voiceprints
from tasks.speakers.lookup import load_speakers
from tasks.speakers.reassignment import with_utterances


def test_a_renamed_voice_is_known_by_its_name(lake):
    row = curation.rename(lake, "spk_b", "Ben")
    assert (row["speaker_id"], row["name"], row["kind"]) == ("spk_b", "Ben", "enrolled")
    utterances = lake.scan("utterances").sort("recording_id", "segment").collect()
    assert utterances["speaker_id"].to_list() == [speaker for *_, speaker in UTTERANCES], (
        "the id is what other tables hold"
    )
    assert utterances["speaker_known"].to_list() == [True, True, True, False]
    assert {v.speaker_id: v.known for v in voiceprints(load_speakers(lake), "e1")}["spk_b"]
    check_tables_agree(lake)
    assert curation.rename(lake, "ben", "Benjamin")["name"] == "Benjamin"
    check_tables_agree(lake)


def test_utterances_of_nobody_stay_nobodys(lake):
    """`speaker_id == name` is null for them, and null was written into a column that others read as true or false."""
    nobody = {**_utterances(lake)[-1], "segment": 1, "speaker_id": None, "speaker_reason": "too_little_speech"}
    table = pa.Table.from_pylist([nobody | {"speaker_score": None}], schema=utterances_schema(("anger",)))
    change = with_utterances(
        lake, {}, pl.DataFrame(table), pl.concat([lake.scan("utterances"), pl.LazyFrame(table)], how="diagonal")
    )
    publish_manual_change(lake, "a run", lambda _: change)
    curation.rename(lake, "spk_b", "Ben")
    curation.merge(lake, "Ben", ["spk_c"])
    curation.forget(lake, "Ben")
    row = _utterances(lake)[-1]
    told = ("speaker_id", "speaker_reason", "speaker_score", "speaker_known")
    assert [row[name] for name in told] == [None, "too_little_speech", None, False]
    assert "unknown" in lake.scan("emotion_daily").collect()["speaker_kind"]
    check_tables_agree(lake)


def test_renaming_to_the_same_name_publishes_nothing(lake):
    curation.rename(lake, "spk_b", "Ben")
    before = newest_versions(lake)
    curation.rename(lake, "Ben", "Ben")
    assert newest_versions(lake) == before


def test_a_merge_shows_in_every_table(lake):
    row = curation.merge(lake, "Ada Lovelace", ["spk_b"])
    assert (row["n_utterances"], row["speech_s"], row["last_seen"]) == (3, 7.0, DAYS[1])
    utterances = lake.scan("utterances").sort("recording_id", "segment").collect()
    assert utterances["speaker_id"].to_list() == ["ada-lovelace"] * 3 + ["spk_c"]
    assert utterances["speaker_known"].to_list() == [True, True, True, False]
    (merged,) = lake.scan("speakers").filter(kind="merged").collect().to_dicts()
    assert (merged["speaker_id"], merged["merged_into"], merged["n_utterances"]) == ("spk_b", "ada-lovelace", 0)
    check_tables_agree(lake)


def test_a_merged_voiceprint_belongs_to_its_survivor(lake):
    curation.merge(lake, "spk_c", ["spk_b"])
    curation.merge(lake, "ada-lovelace", ["spk_c"])
    voices = voiceprints(load_speakers(lake), "e1")
    assert [voice.speaker_id for voice in voices] == ["ada-lovelace"] * 3
    assert all(voice.known for voice in voices)
    assert len({voice.centroid.tobytes() for voice in voices}) == 3


def test_merging_again_publishes_nothing(lake):
    first = curation.merge(lake, "ada-lovelace", ["spk_b", "spk_b"])
    before = newest_versions(lake)
    again = curation.merge(lake, "ada-lovelace", ["spk_b"])
    assert newest_versions(lake) == before
    assert again["n_utterances"] == first["n_utterances"]


def test_only_the_utterances_of_a_forgotten_speaker_stay(lake):
    curation.rename(lake, "spk_b", "Ben")
    curation.merge(lake, "Ben", ["spk_c"])
    row = curation.forget(lake, "Ben")
    assert (row["n_voices"], row["n_utterances"]) == (2, 3)
    assert lake.scan("speakers").collect()["speaker_id"].to_list() == ["ada-lovelace"]
    utterances = lake.scan("utterances").sort("recording_id", "segment").collect()
    assert utterances["speaker_id"].to_list() == ["ada-lovelace", FORGOTTEN_ID, FORGOTTEN_ID, FORGOTTEN_ID]
    assert utterances["speaker_known"].to_list() == [True, False, False, False]
    assert utterances["start_s"].null_count() == 0
    runs = lake.scan("runs").filter(flow="speakers forget").collect()
    assert "Ben" not in str(runs.to_dicts())
    check_tables_agree(lake)
    with pytest.raises(UsageError, match="no speaker is called 'Ben'"):
        curation.forget(lake, "Ben")


def test_a_merged_voice_is_forgotten_by_its_id(lake):
    curation.merge(lake, "ada-lovelace", ["spk_b"])
    assert curation.forget(lake, "spk_b")["n_utterances"] == 0
    assert lake.scan("speakers").collect()["speaker_id"].sort().to_list() == ["ada-lovelace", "spk_c"]
    assert lake.scan("utterances").filter(speaker_id="ada-lovelace").collect().height == 3


def test_without_history_a_forgotten_name_is_in_no_file(lake):
    curation.rename(lake, "spk_b", "Benedikt")
    curation.forget(lake, "Benedikt")
    assert _parquet_with(lake, "Benedikt")
    assert curation.remove_history(lake) > 0
    assert not _parquet_with(lake, "Benedikt")
    assert lake.scan("utterances").collect().height == len(UTTERANCES)
    check_tables_agree(lake)


def test_enrolling_a_named_voice_keeps_its_id(lake):
    curation.rename(lake, "spk_b", "Ben")
    row = curation.enroll(lake, enrollment("Ben"))
    assert (row["speaker_id"], row["n_utterances"]) == ("spk_b", 2)
    assert curation.enroll(lake, enrollment("Zoe"))["speaker_id"] == "zoe"
    curation.merge(lake, "Ben", ["zoe"])
    with pytest.raises(UsageError, match="zoe was merged into spk_b"):
        curation.enroll(lake, enrollment("Zoe"))


def test_a_lake_of_a_version_without_merges(tmp_path):
    lake = Lake(str(tmp_path))
    speakers = pa.Table.from_pylist(
        [speaker_row(0, "spk_b", ("spk_b", "found"), {"n_utterances": 0, "speech_s": 0.0})], schema=SPEAKERS
    )
    publish_manual_change(
        lake, "an older version", lambda _: ManualChange({"speakers": speakers.drop_columns(["merged_into"])})
    )
    assert "merged_into" not in lake.scan("speakers").collect_schema()
    assert voiceprints(load_speakers(lake), "e1")[0].speaker_id == "spk_b"
    curation.enroll(lake, enrollment("Ben"))
    curation.merge(lake, "Ben", ["spk_b"])
    assert dict(lake.scan("speakers").select("speaker_id", "merged_into").collect().iter_rows()) == {
        "ben": None,
        "spk_b": "ben",
    }


def _utterances(lake):
    return lake.scan("utterances").sort("recording_id", "segment").collect().to_dicts()


def _parquet_with(lake, word):
    files = lake.fs.find(f"{lake.path}/analytics/speakers")
    names = [set(pl.read_parquet(file)["name"]) for file in files if file.endswith(".parquet")]
    return any(word in found for found in names)
