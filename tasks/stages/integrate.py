"""Stage 6: one row an utterance, and everything that follows from it, staged as it is to be published.

Staged tables hold what to write; `deletes/` hold keys that the tables must lose: utterances that a new version of the
features does not have any more, rejects that turned out well, found speakers whom nobody is any more.
"""

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
from tasks.staging.recordings import cast_to_schema, recordings_to_stage, rejects_to_stage, split_published_utterances
from tasks.staging.utterances import utterances_with_scores


@dataclass(frozen=True)
class StagedCounts:
    """How many recordings and utterances wait for the audit."""

    n_recordings: int
    n_utterances: int


@stage
def integrate(run: Run, waiting: PendingRecordings) -> StagedCounts:
    """Writes the staged tables and deletes below `staging/run=…/`, and the dates that the tables' rows are on."""
    recordings = recordings_to_stage(run)
    utterances = utterances_with_scores(run, waiting)
    gone, again = split_published_utterances(run, recordings, utterances)
    rejects, mended = rejects_to_stage(run, recordings)
    tables = {"recordings": recordings, "utterances": utterances, "rejects": rejects}
    deletes = {"utterances": gone.select(UTTERANCE_KEY), "rejects": mended}
    named = read_related(run).join(recordings, on="uri", how="semi")
    said_on = pl.concat([rows.select("date") for rows in (utterances, gone, again)])
    read_on = pl.concat([recordings.select("date"), named.select("date")])
    days = pl.concat([said_on, read_on]).unique().sort("date")
    after = projection.utterances(run.lake, run.utterances, days["date"], utterances, gone)
    tables["speakers"], deletes["speakers"] = update_speaker_totals(
        run, after, added=utterances, removed=pl.concat([gone, again])
    )
    daily, compared = daily_tables(run, days["date"], recordings, after)
    tables |= daily
    for table, frame in tables.items():
        run.lake.write_parquet(paths.table(run.id, table), cast_to_schema(frame, table, run).to_arrow())
    for table, frame in deletes.items():
        run.lake.write_parquet(paths.deletes(run.id, table), frame.to_arrow())
    places = {
        "utterances": said_on,
        "recordings": read_on,
        **dict.fromkeys(DAILY_TABLES, days),
        "drift": compared.to_frame(),
    }
    run.lake.write_json(
        paths.dates(run.id),
        {table: [day.isoformat() for day in sorted(set(rows["date"]))] for table, rows in places.items()},
    )
    return StagedCounts(len(recordings), len(utterances))
