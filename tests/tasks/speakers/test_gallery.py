"""Speakers published where an utterance is now, though another encoder cuts utterances elsewhere."""

import datetime as dt

import polars as pl
from helpers.lakes import make_lake
from helpers.small_lake import publish_night, utterance

from tasks.speakers.gallery import Gallery

NIGHT = dt.date(2026, 11, 19)


def test_the_earlier_speaker_is_who_spoke_at_the_middle_of_an_utterance(tmp_path):
    lake = make_lake(tmp_path)
    said = [("a", 0, 0.0, 4.0), ("b", 1, 4.0, 6.0), ("a", 2, 8.0, 9.0)]
    rows = [
        utterance("call", NIGHT, segment, speaker_id=f"spk_{who}", start_s=start, end_s=end)
        for who, segment, start, end in said
    ]
    publish_night(lake, "r1", [*rows, utterance("other", NIGHT, speaker_id="spk_c")])
    now = [("call", 0.0, 3.0), ("call", 3.1, 6.0), ("call", 6.5, 7.5), ("call", 7.5, 9.0), ("new", 0.0, 2.0)]
    keys = {"recording_id": [name for name, *_ in now], "channel": [0] * 5, "segment": range(5)}
    times = {"start_s": [start for _, start, _ in now], "end_s": [end for *_, end in now]}
    utterances = pl.DataFrame(keys | times, schema_overrides={"channel": pl.Int16, "segment": pl.Int32})
    gallery = Gallery(pl.DataFrame(), [], {"spk_a": False, "spk_b": False}, {})
    assert gallery.previous_ids(lake, NIGHT, utterances) == ["spk_a", "spk_b", None, "spk_a", None]
    assert Gallery(pl.DataFrame(), [], {}, {}).previous_ids(lake, NIGHT, utterances) == [None] * 5
