"""Enrollment: a voice enrolled once is recognised on every night, by name."""

import numpy as np
import pytest
import soundfile as sf
from helpers.corpora import sample_corpus

from data_contracts.errors import CorpusError, UsageError
from data_contracts.lake import Lake
from flows.backfill import backfill
from flows.enroll import enroll
from flows.settings import Settings


def test_an_enrolled_voice_is_recognised(settings, sample, tmp_path):
    chosen = Settings.load(**settings)
    night = sample / "2026" / "11" / "19"
    row = enroll(chosen, "Ada Lovelace", [str(night / "call-0001-voice-a.flac"), str(night / "call-0006-voice-a.flac")])
    assert row["speaker_id"] == "ada-lovelace"
    three_nights = ("19/call-0001-voice-a.flac", "20/call-0011-voice-a.flac", "21/call-0021-voice-a.flac")
    backfill(settings=settings | {"corpus": str(sample_corpus(tmp_path, *three_nights, "20/call-0012-voice-b.flac"))})
    lake = Lake(settings["lake"])
    known = lake.scan("utterances").collect().filter(speaker_id="ada-lovelace")
    assert known["speaker_known"].all()
    assert known["date"].n_unique() == 3, "heard on every night"
    (ada,) = lake.scan("speakers").collect().filter(speaker_id="ada-lovelace").to_dicts()
    assert (ada["kind"], ada["name"], ada["n_utterances"]) == ("enrolled", "Ada Lovelace", len(known))


def test_enrolled_afterwards_the_name_replaces_the_pseudonym(settings, sample, published):
    lake = Lake(settings["lake"])
    voice = sample / "2026" / "11" / "19" / "call-0002-voice-b.flac"
    recording = lake.scan("recordings").collect().filter(uri=str(voice))["recording_id"][0]
    before = lake.scan("utterances").collect().filter(recording_id=recording)["speaker_id"][0]
    assert before.startswith("spk_")
    enroll(Settings.load(**settings), "Grace", [str(voice)])
    backfill(stage="score", force=True, settings=settings)
    after = lake.scan("utterances").collect().filter(recording_id=recording)
    assert after["speaker_id"].to_list() == ["grace"] * len(after)


def test_a_name_is_not_taken_from_another(settings, sample):
    voice = str(sample / "2026" / "11" / "19" / "call-0002-voice-b.flac")
    enroll(Settings.load(**settings), "Ada L.", [voice])
    with pytest.raises(UsageError, match=r"is 'Ada L\.' already"):
        enroll(Settings.load(**settings), "ada-l", [voice])


@pytest.mark.parametrize("turns", [1, 2])
def test_two_voices_in_a_file_are_refused(settings, sample, tmp_path, turns):
    """They were enrolled as one, without a word; in two files they are told apart."""
    night = sample / "2026/11/19"
    voices = [sf.read(night / name)[0] for name in ("call-0001-voice-a.flac", "call-0002-voice-b.flac")]
    parts = [part for pair in zip(*(np.array_split(voice, turns) for voice in voices), strict=True) for part in pair]
    sf.write(tmp_path / "both.wav", np.concatenate(parts), 16_000)
    files = [str(night / "call-0006-voice-a.flac"), str(tmp_path / "both.wav")]
    with pytest.raises(
        UsageError, match=r"expected recordings in which only Ada speaks; found two voices in \S*both.wav:"
    ):
        enroll(Settings.load(**settings), "Ada", files)
    assert Lake(settings["lake"]).delta("speakers") is None


def test_what_cannot_be_enrolled_says_why(settings, sample):
    chosen = Settings.load(**settings)
    with pytest.raises(CorpusError, match="not_audio"):
        enroll(chosen, "nobody", [str(sample / "2026/11/21/readme-not-audio.mp3")])
    with pytest.raises(CorpusError, match="cannot be read"):
        enroll(chosen, "nobody", ["nowhere.flac"])
    with pytest.raises(UsageError, match="letter or a digit"):
        enroll(chosen, "!?", [str(sample / "2026/11/19/call-0001-voice-a.flac")])
    assert Lake(settings["lake"]).delta("speakers") is None
