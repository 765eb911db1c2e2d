"""Totals updated from added and removed utterances equal those of the whole table, for any of both."""

import datetime as dt

import polars as pl
from helpers.runs import make_run, model_ref
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from data_contracts.schema import tables
from data_contracts.schema.tables import UTTERANCE_KEY
from tasks.aggregates.emotion_daily import speaker_sums
from tasks.aggregates.speaker_totals import update_speaker_totals

DAY = dt.date(2026, 11, 20)
UTTERANCES = pl.DataFrame(tables.utterances_schema(()).empty_table())
SPEAKERS = pl.DataFrame(tables.SPEAKERS.empty_table())
_CHANGES = st.dictionaries(
    st.integers(0, 11),  # segment
    st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.integers(1, 40)),  # speaker, day, tenths of a second
    max_size=10,
)


class Tables:
    """The parts of a lake that the totals read; `n_whole` counts reads of all utterances."""

    def __init__(self, utterances, people):
        self.tables, self.n_whole = {"utterances": utterances, "speakers": people}, 0

    def frame(self, table, _schema):
        self.n_whole += table == "utterances"
        return self.tables[table].lazy()

    def read_parquet(self, _path):
        voices = self.tables["speakers"].clear().select("speaker_id", "centroid", "centroid_s")
        return voices.to_arrow()


@given(before=_CHANGES, change=_CHANGES, deleted=st.sets(st.integers(0, 11), max_size=6))
def test_totals_follow_added_and_removed_utterances(before, change, deleted):
    published, added = _rows(before), _rows(change)
    removed = published.join(
        pl.concat(
            [
                added.select(UTTERANCE_KEY),
                published.filter(pl.col("segment").is_in(list(deleted))).select(UTTERANCE_KEY),
            ]
        ),
        on=UTTERANCE_KEY,
        how="semi",
    )
    after = pl.concat([published.join(removed, on=UTTERANCE_KEY, how="anti"), added])
    days = pl.concat([added.select("date"), removed.select("date")]).unique()
    totals = update_speaker_totals(
        _run(published), after.join(days, on="date", how="semi"), added=added, removed=removed
    )
    touched = set(added["speaker_id"]) | set(removed["speaker_id"])
    expected = speaker_sums(after.lazy()).filter(pl.col("speaker_id").is_in(list(touched))).collect().sort("speaker_id")
    expected = expected.join(_people(published), on="speaker_id", how="semi")  # voices.parquet founds the others
    columns = ["speaker_id", "first_seen", "last_seen", "n_utterances", "speech_s"]
    assert_frame_equal(totals.rows.select(columns), expected.select(columns))
    silent = touched & set(_people(published)["speaker_id"]) - set(after["speaker_id"])
    assert set(totals.emptied["speaker_id"]) == silent


def test_a_night_that_only_adds_does_not_read_the_table():
    published = _rows(dict.fromkeys(range(5), ("a", 0, 10)))
    added = _rows({9: ("a", 3, 10)})
    run = _run(published)
    totals = update_speaker_totals(run, added, added=added, removed=added.clear())
    assert totals.rows.select("n_utterances", "last_seen").row(0) == (6, DAY + dt.timedelta(days=3))
    assert run.lake.n_whole == 0


def _run(published):
    speaker = model_ref("speaker", extractor_digest="x")
    return make_run(Tables(published, _people(published)), id="r2", speaker=speaker)


def _rows(utterances):
    rows = [
        {
            "recording_id": "r",
            "channel": 0,
            "segment": segment,
            "start_s": 0.0,
            "end_s": tenths / 10,
            "date": DAY + dt.timedelta(days=day),
            "speaker_id": speaker,
        }
        for segment, (speaker, day, tenths) in utterances.items()
    ]
    return pl.concat([UTTERANCES, pl.DataFrame(rows, schema_overrides=UTTERANCES.schema)], how="diagonal").select(
        UTTERANCES.columns
    )


def _people(published):
    sums = speaker_sums(published.lazy()).collect()
    more = {"name": pl.col("speaker_id"), "kind": pl.lit("found"), "extractor": pl.lit("x"), "run_id": pl.lit("r1")}
    return pl.concat([SPEAKERS, sums.with_columns(**more)], how="diagonal").sort("speaker_id")
