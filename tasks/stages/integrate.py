"""Stage 6: the rows of every table as they are to be published, staged.

Staged tables hold the rows to write; `deletes/` hold keys that the tables must lose: utterances that a new version of
the features has no more, rejects that were read well since, found speakers without an utterance left.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from data_contracts.schema.tables import DAILY_TABLES, UTTERANCE_KEY
from tasks.aggregates.daily import daily_tables
from tasks.aggregates.speaker_totals import update_speaker_totals
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.stages.stage import stage
from tasks.staging import projection
from tasks.staging.pending import PendingRecordings
from tasks.staging.published_rows import read_related
from tasks.staging.recordings import (
    cast_to_schema,
    recordings_to_stage,
    rejects_to_stage,
    split_published_utterances,
)
from tasks.staging.utterances import utterances_with_scores


@dataclass(frozen=True)
class StagedCounts:
    """Counts of the recordings and utterances that wait for the audit."""

    n_recordings: int
    n_utterances: int


@stage
def integrate(run: Run, pending: PendingRecordings) -> StagedCounts:
    """Write the staged tables and deletes below `staging/run=…/`, and the dates that the tables' rows are on."""
    recordings = recordings_to_stage(run)
    utterances = utterances_with_scores(run, pending)
    deleted, replaced = split_published_utterances(run, recordings, utterances)
    rejects, resolved_rejects = rejects_to_stage(run, recordings)

    utterance_dates = _dates(utterances, deleted, replaced)
    recording_dates = _dates(recordings, read_related(run).join(recordings, on="uri", how="semi"))
    days = pl.concat([utterance_dates, recording_dates]).unique().sort()
    after = projection.utterances(run.lake, run.utterances, days, utterances, deleted)
    speakers = update_speaker_totals(run, after, added=utterances, removed=pl.concat([deleted, replaced]))
    daily, judged_days = daily_tables(run, days, recordings, after)

    tables = {
        "recordings": recordings,
        "utterances": utterances,
        "rejects": rejects,
        "speakers": speakers.rows,
        **daily,
    }
    deletes = {
        "utterances": deleted.select(UTTERANCE_KEY),
        "rejects": resolved_rejects,
        "speakers": speakers.emptied,
    }
    dates = {"utterances": utterance_dates, "recordings": recording_dates, **dict.fromkeys(DAILY_TABLES, days)}
    _write(run, tables, deletes, dates | {"drift": judged_days})
    return StagedCounts(len(recordings), len(utterances))


def _dates(*frames: pl.DataFrame) -> pl.Series:
    return pl.concat([rows["date"] for rows in frames])


def _write(
    run: Run,
    tables: Mapping[str, pl.DataFrame],
    deletes: Mapping[str, pl.DataFrame],
    dates: Mapping[str, pl.Series],
) -> None:
    for table, frame in tables.items():
        run.lake.write_parquet(paths.table(run.id, table), cast_to_schema(frame, table, run).to_arrow())
    for table, frame in deletes.items():
        run.lake.write_parquet(paths.deletes(run.id, table), frame.to_arrow())
    days = {table: [day.isoformat() for day in sorted(set(own))] for table, own in dates.items()}
    run.lake.write_json(paths.dates(run.id), days)
