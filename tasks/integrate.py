"""Stage 6: one row an utterance, and everything that follows from it, staged as it is to be published.

Staged tables hold what to write; `deletes/` hold keys that the tables must lose: utterances that a new version of the
features does not have any more, rejects that turned out well, found speakers whom nobody is any more.
"""

from dataclasses import dataclass

import polars as pl

from data_contracts import schemas
from data_contracts.schemas import TABLE_KEYS
from tasks.identify import KEY
from tasks.run import Run
from tasks.select import Pending, pending
from tasks.stage import stage
from tasks.tallies import by_day, by_speaker
from tasks.utterances import utterances_with_scores


@dataclass(frozen=True)
class Staged:
    """How many recordings and utterances wait for the audit."""

    n_recordings: int
    n_utterances: int


@stage
def integrate(run: Run, waiting: Pending) -> Staged:
    """Writes the staged tables and deletes below `staging/run=…/`."""
    recordings = _recordings(run)
    utterances = utterances_with_scores(run, waiting)
    schema = run.utterances
    published = run.lake.frame("utterances", schema)
    stale = _stale_utterances(run, recordings, utterances, published)
    rejects, mended = _rejects(run, recordings)
    tables = {"recordings": recordings, "utterances": utterances, "rejects": rejects}
    deletes = {"utterances": stale.select(KEY), "rejects": mended}
    before = published.join(utterances.lazy(), on=KEY, how="semi").collect()
    touched = pl.concat([_places(rows) for rows in (utterances, stale, before)]).unique()
    after = _after(published, utterances, stale)
    tables["speakers"], deletes["speakers"] = _speakers(run, touched, after)
    tables |= by_day(after.join(touched.lazy().select("date").unique(), on="date", how="semi"))
    for table, frame in tables.items():
        run.lake.write_parquet(run.staged(table), _as(frame, table, run).to_arrow())
    deletes["dates"] = touched.select("date").unique().sort("date")
    for table, frame in deletes.items():
        run.lake.write_parquet(f"{run.staging}/deletes/{table}.parquet", frame.to_arrow())
    return Staged(len(recordings), len(utterances))


def _recordings(run: Run) -> pl.DataFrame:
    return pending(run).with_columns(
        emotion_model=pl.lit(run.emotion.label),
        speaker_model=pl.lit(run.speaker.label),
        feature_version=pl.lit(run.feature_version),
        run_id=pl.lit(run.id),
    )


def _stale_utterances(
    run: Run, recordings: pl.DataFrame, utterances: pl.DataFrame, published: pl.LazyFrame
) -> pl.DataFrame:
    """Published utterances of the touched recordings that are not staged again, and those of overwritten content."""
    shown = run.lake.frame("recordings", schemas.RECORDINGS)
    before = shown.join(recordings.lazy().select("uri"), on="uri", how="semi").select("recording_id", "uri")
    others = shown.join(recordings.lazy().select("uri"), on="uri", how="anti").filter(pl.col("status") == "ok")
    gone = before.join(recordings.lazy(), on="recording_id", how="anti").join(others, on="recording_id", how="anti")
    unusable = recordings.lazy().filter(pl.col("status") != "ok").join(others, on="recording_id", how="anti")
    again = recordings.lazy().filter("counted")
    touched = pl.concat([frame.select("recording_id") for frame in (gone, unusable, again)]).drop_nulls().unique()
    return published.join(touched, on="recording_id", how="semi").join(utterances.lazy(), on=KEY, how="anti").collect()


def _rejects(run: Run, recordings: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    rejected = recordings.filter(pl.col("status") == "rejected").select(schemas.REJECTS.names)
    key = list(TABLE_KEYS["rejects"])
    before = run.lake.frame("rejects", schemas.REJECTS).join(recordings.lazy().select("uri"), on="uri", how="semi")
    return rejected, before.join(rejected.lazy(), on=key, how="anti").select(key).collect()


def _places(utterances: pl.DataFrame) -> pl.DataFrame:
    """The days and speakers whose sums these rows are part of."""
    return utterances.select("date", "speaker_id").unique()


def _after(published: pl.LazyFrame, utterances: pl.DataFrame, stale: pl.DataFrame) -> pl.LazyFrame:
    """The utterances as they will stand once this run is published."""
    kept = published.join(pl.concat([utterances.select(KEY), stale.select(KEY)]).lazy(), on=KEY, how="anti")
    return pl.concat([kept, utterances.lazy()], how="diagonal")


def _speakers(run: Run, touched: pl.DataFrame, after: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The touched speakers with their sums over all utterances, and the found ones who have none left.

    `voices.parquet` says who was founded, and whose voice is known anew under this encoder.
    """
    remembered = run.lake.frame("speakers", schemas.SPEAKERS).collect()
    voices = pl.DataFrame(run.lake.read_parquet(f"{run.staging}/voices.parquet"))
    anew = voices.with_columns(extractor=pl.lit(run.speaker.metadata["extractor_digest"]))
    founded = anew.join(remembered, on="speaker_id", how="anti").with_columns(
        name=pl.col("speaker_id"),
        kind=pl.lit("found"),
        sources=pl.lit([], dtype=pl.List(pl.String)),
        merged_into=pl.lit(None, pl.String),
    )
    identity = ["speaker_id", "name", "kind", "centroid", "extractor", "sources", "merged_into"]
    people = pl.concat([remembered.update(anew, on="speaker_id").select(identity), founded.select(identity)])
    who = pl.concat([touched.select("speaker_id"), voices.select("speaker_id")]).unique()
    sums = by_speaker(after.join(who.lazy(), on="speaker_id", how="semi")).collect()
    rows = people.join(who, on="speaker_id", how="semi").join(sums, on="speaker_id", how="left")
    rows = rows.with_columns(
        pl.col("n_utterances").fill_null(0), pl.col("speech_s").fill_null(0.0), run_id=pl.lit(run.id)
    )
    nobody = (pl.col("kind") == "found") & (pl.col("n_utterances") == 0)
    gone = rows.filter(nobody).select("speaker_id")
    with_them = remembered.join(gone, left_on="merged_into", right_on="speaker_id", how="semi").select("speaker_id")
    return rows.filter(~nobody).sort("speaker_id"), pl.concat([gone, with_them])


def _as(frame: pl.DataFrame, table: str, run: Run) -> pl.DataFrame:
    """Exactly the columns and types of the table's schema."""
    schema = run.utterances if table == "utterances" else getattr(schemas, table.upper())
    empty = pl.DataFrame(schema.empty_table())
    return frame.select(pl.col(name).cast(kind) for name, kind in empty.schema.items())
