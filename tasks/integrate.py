"""Stage 6: one row an utterance, and everything that follows from it, staged as it is to be published.

Staged tables hold what to write; `deletes/` hold keys that the tables must lose: utterances that a new version of the
features does not have any more, rejects that turned out well, found speakers whom nobody is any more.
"""

from dataclasses import dataclass

import polars as pl

from data_contracts import schemas
from data_contracts.schemas import BY_DAY, TABLE_KEYS, UTTERANCE_KEY
from tasks import run_staging_paths as paths
from tasks import standing
from tasks.daily import by_day
from tasks.related import related, shown_utterances
from tasks.run import Run
from tasks.select import Pending, pending
from tasks.stage import stage
from tasks.sums import speakers
from tasks.utterances import utterances_with_scores


@dataclass(frozen=True)
class Staged:
    """How many recordings and utterances wait for the audit."""

    n_recordings: int
    n_utterances: int


@stage
def integrate(run: Run, waiting: Pending) -> Staged:
    """Writes the staged tables and deletes below `staging/run=…/`, and the dates that the tables' rows are on."""
    recordings = _recordings(run)
    utterances = utterances_with_scores(run, waiting)
    gone, again = _published_already(run, recordings, utterances)
    rejects, mended = _rejects(run, recordings)
    tables = {"recordings": recordings, "utterances": utterances, "rejects": rejects}
    deletes = {"utterances": gone.select(UTTERANCE_KEY), "rejects": mended}
    named = related(run).join(recordings, on="uri", how="semi")
    said_on = pl.concat([rows.select("date") for rows in (utterances, gone, again)])
    read_on = pl.concat([recordings.select("date"), named.select("date")])
    days = pl.concat([said_on, read_on]).unique().sort("date")
    after = standing.utterances(run.lake, run.utterances, days["date"], utterances, gone)
    tables["speakers"], deletes["speakers"] = speakers(run, after, added=utterances, removed=pl.concat([gone, again]))
    daily, compared = by_day(run, days["date"], recordings, after)
    tables |= daily
    for table, frame in tables.items():
        run.lake.write_parquet(paths.table(run.id, table), _as(frame, table, run).to_arrow())
    for table, frame in deletes.items():
        run.lake.write_parquet(paths.deletes(run.id, table), frame.to_arrow())
    places = {"utterances": said_on, "recordings": read_on, **dict.fromkeys(BY_DAY, days), "drift": compared.to_frame()}
    run.lake.write_json(
        paths.dates(run.id),
        {table: [day.isoformat() for day in sorted(set(rows["date"]))] for table, rows in places.items()},
    )
    return Staged(len(recordings), len(utterances))


def _recordings(run: Run) -> pl.DataFrame:
    return standing.with_sources(pending(run), run.sources).with_columns(
        emotion_model=pl.lit(run.emotion.label),
        speaker_model=pl.lit(run.speaker.label),
        feature_version=pl.lit(run.feature_version),
        run_id=pl.lit(run.id),
    )


def _published_already(
    run: Run, recordings: pl.DataFrame, utterances: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is published of these recordings: utterances that are to go, and those that are staged again.

    Those go that the touched recordings do not have any more, and those of contents that were overwritten.
    """
    listed = related(run)
    before = listed.join(recordings, on="uri", how="semi").select("recording_id")
    others = listed.join(recordings, on="uri", how="anti").filter(pl.col("status") == "ok")
    overwritten = before.join(recordings, on="recording_id", how="anti").join(others, on="recording_id", how="anti")
    unusable = recordings.filter(pl.col("status") != "ok").join(others, on="recording_id", how="anti")
    counted = recordings.filter("counted")
    touched = pl.concat([frame.select("recording_id") for frame in (overwritten, unusable, counted)])
    published = shown_utterances(run, touched["recording_id"].drop_nulls().unique())
    return published.join(utterances, on=UTTERANCE_KEY, how="anti"), published.join(
        utterances, on=UTTERANCE_KEY, how="semi"
    )


def _rejects(run: Run, recordings: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    rejected = recordings.filter(pl.col("status") == "rejected").select(schemas.REJECTS.names)
    key = list(TABLE_KEYS["rejects"])
    before = run.lake.frame("rejects", schemas.REJECTS).join(recordings.lazy().select("uri"), on="uri", how="semi")
    return rejected, before.join(rejected.lazy(), on=key, how="anti").select(key).collect()


def _as(frame: pl.DataFrame, table: str, run: Run) -> pl.DataFrame:
    """Exactly the columns and types of the table's schema."""
    schema = run.utterances if table == "utterances" else getattr(schemas, table.upper())
    empty = pl.DataFrame(schema.empty_table())
    return frame.select(pl.col(name).cast(kind) for name, kind in empty.schema.items())
