"""Published rows that the pending recordings replace: their recordings, and the utterances of those.

Of `recordings` a few columns are read; of `utterances` only the dates that those rows name.
"""

import datetime as dt

import polars as pl

from data_contracts.schema import tables
from tasks.run import staging_paths as paths
from tasks.run.context import Run

_COLUMNS = (
    *("uri", "etag", "recording_id", "date", "status", "read_at", "tries", "n_segments"),
    *("feature_version", "emotion_model", "emotion_prior", "speaker_model"),
)
_UTTERANCE_COLUMNS = (*tables.UTTERANCE_KEY, "date", "speaker_id", "start_s", "end_s")


def published_recordings(run: Run, *, by: str, values: pl.Series) -> pl.DataFrame:
    """Return the published recordings whose column `by` is among `values`."""
    wanted = pl.LazyFrame({by: values.drop_nulls().unique()})
    rows = run.lake.frame("recordings", tables.RECORDINGS).select(_COLUMNS)
    return rows.join(wanted, on=by, how="semi").collect(engine="streaming")


def write_related(run: Run, pending: pl.DataFrame, same_name: pl.DataFrame) -> pl.DataFrame:
    """Write and return the published recordings with a URI of the pending ones, or with their old or new content."""
    contents = pl.concat([pending["recording_id"], same_name["recording_id"]])
    same_content = published_recordings(run, by="recording_id", values=contents)
    related = pl.concat([same_name, same_content]).unique("uri", keep="first").sort("uri")
    run.lake.write_parquet(paths.related(run.id), related.to_arrow())
    return related


def read_related(run: Run) -> pl.DataFrame:
    """Return the rows that `write_related` wrote."""
    return pl.DataFrame(run.lake.read_parquet(paths.related(run.id)))


def published_utterances(run: Run, recording_ids: pl.Series) -> pl.DataFrame:
    """Return key, date, speaker and times of the published utterances of some recordings.

    They are on the date of a recording with that content; elsewhere only where its first URI got another content.
    """
    listed = read_related(run).filter(pl.col("recording_id").is_in(recording_ids.implode()), pl.col("status") == "ok")
    found = _utterances(run, recording_ids, listed["date"].unique().to_list())
    expected = listed.filter(pl.col("n_segments") > 0).select("recording_id").unique()
    missing = expected.join(found, on="recording_id", how="anti")["recording_id"]
    return pl.concat([found, _utterances(run, missing, None)]) if len(missing) else found


def _utterances(run: Run, recording_ids: pl.Series, dates: list[dt.date] | None) -> pl.DataFrame:
    rows = run.lake.frame("utterances", tables.utterances_schema(())).select(_UTTERANCE_COLUMNS)
    if dates is not None:
        rows = rows.filter(pl.col("date").is_in(dates))
    wanted = pl.LazyFrame({"recording_id": recording_ids.unique()})
    return rows.join(wanted, on="recording_id", how="semi").collect(engine="streaming")
