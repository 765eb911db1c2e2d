"""Selection between extraction and publication: recordings of the store that are not in the tables yet.

This makes a run resume: it asks the store and the tables, not the memory of the run that died. It takes date by date,
so that a run over a year stages, audits and publishes some dates at a time, in bounded memory.
"""

import datetime as dt
from collections.abc import Sequence

from data_contracts.lake.snapshot import newest_versions
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.stages.stage import stage
from tasks.staging.pending import PendingRecordings, drop_published, shards_by_date, take_dates, with_counted
from tasks.staging.published_rows import published_recordings, write_related


@stage
def select(run: Run, dates: Sequence[dt.date]) -> PendingRecordings:
    """Write `pending.parquet`: recordings that are unpublished, or published with other versions.

    They are of the first dates that have any, together no more than `batch_recordings` unless one date has more. The
    column `counted` is true for the one name of a recording under which its utterances are kept: its first by date and
    URI. A copy is listed, and not counted again.
    """
    base, rest = newest_versions(run.lake), list(dates)
    while rest:
        current = take_dates(run, rest)
        same_name = published_recordings(run, by="uri", values=current["uri"])
        pending = drop_published(run, current, same_name)
        if pending.height:
            same_name = same_name.join(pending, on="uri", how="semi")
            pending = with_counted(pending, write_related(run, pending, same_name))
            run.lake.write_parquet(paths.pending(run.id), pending.to_arrow())
            examined = dates[: len(dates) - len(rest)]
            return PendingRecordings(len(pending), shards_by_date(pending), base, tuple(examined), tuple(rest))
    return PendingRecordings(0, {}, base, tuple(dates))
