"""The tables by day, of the touched dates alone, as they will stand once what is staged is published."""

import polars as pl

from tasks.aggregates.drift import dates_to_judge, drift
from tasks.aggregates.emotion_daily import emotion_daily, speaker_daily
from tasks.aggregates.feature_daily import feature_daily
from tasks.aggregates.quality_daily import quality_daily, rejects_daily
from tasks.run.context import Run
from tasks.staging import projection


def daily_tables(
    run: Run, days: pl.Series, recordings: pl.DataFrame, after: pl.DataFrame
) -> tuple[dict[str, pl.DataFrame], pl.Series]:
    """The tables, and the dates that `drift` is told of: the touched `days` and some after them.

    `recordings` are those that are staged, `after` all utterances of the days as they will stand.
    """
    read = projection.recordings(run.lake, days, recordings, run.sources)
    said = projection.utterances_with_sources(run.lake, after, read, run.sources)
    tables = {
        "emotion_daily": emotion_daily(said),
        "speaker_daily": speaker_daily(after.lazy()).collect(),
        "quality_daily": quality_daily(read, said),
        "rejects_daily": rejects_daily(read),
        "feature_daily": feature_daily(run, days, after),
    }
    compared = dates_to_judge(run.lake, days, run.drift.days)
    return tables | {"drift": drift(run.lake, compared, days, tables, run.drift)}, compared
