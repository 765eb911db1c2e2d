"""What the tables show of the recordings that are about to be published, and where their utterances lie.

Of `recordings` a few columns are read; of `utterances` the dates named there.
"""

import datetime as dt

import polars as pl

from data_contracts.schema import tables
from tasks.run import staging_paths as paths
from tasks.run.context import Run

_COLUMNS = (
    *("uri", "etag", "recording_id", "date", "status", "read_at", "tries", "n_segments"),
    *("feature_version", "emotion_model", "speaker_model"),
)
_NARROW = (*tables.UTTERANCE_KEY, "date", "speaker_id", "start_s", "end_s")


def published_recordings(run: Run, *, by: str, values: pl.Series) -> pl.DataFrame:
    """The published recordings whose column `by` is among `values`."""
    wanted = pl.LazyFrame({by: values.drop_nulls().unique()})
    rows = run.lake.frame("recordings", tables.RECORDINGS).select(_COLUMNS)
    return rows.join(wanted, on=by, how="semi").collect(engine="streaming")


def write_related(run: Run, pending: pl.DataFrame, same_name: pl.DataFrame) -> pl.DataFrame:
    """Writes down and returns what is published under the same names, or is of the same content as old or new."""
    contents = pl.concat([pending["recording_id"], same_name["recording_id"]])
    same_content = published_recordings(run, by="recording_id", values=contents)
    found = pl.concat([same_name, same_content]).unique("uri", keep="first").sort("uri")
    run.lake.write_parquet(paths.related(run.id), found.to_arrow())
    return found


def read_related(run: Run) -> pl.DataFrame:
    """The rows that `write_related` wrote."""
    return pl.DataFrame(run.lake.read_parquet(paths.related(run.id)))


def published_utterances(run: Run, recording_ids: pl.Series) -> pl.DataFrame:
    """Key, date, speaker and times of the published utterances of some recordings.

    They lie where a recording of that content is listed; where its first name went to another content, elsewhere.
    """
    listed = read_related(run).filter(pl.col("recording_id").is_in(recording_ids.implode()), pl.col("status") == "ok")
    found = _utterances(run, recording_ids, listed["date"].unique().to_list())
    expected = listed.filter(pl.col("n_segments") > 0).select("recording_id").unique()
    astray = expected.join(found, on="recording_id", how="anti")["recording_id"]
    return pl.concat([found, _utterances(run, astray, None)]) if len(astray) else found


def _utterances(run: Run, recording_ids: pl.Series, dates: list[dt.date] | None) -> pl.DataFrame:
    rows = run.lake.frame("utterances", tables.utterances_schema(())).select(_NARROW)
    if dates is not None:
        rows = rows.filter(pl.col("date").is_in(dates))
    wanted = pl.LazyFrame({"recording_id": recording_ids.unique()})
    return rows.join(wanted, on="recording_id", how="semi").collect(engine="streaming")
