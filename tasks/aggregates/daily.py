"""Daily tables of the touched dates, as they will stand once the staged rows are published."""

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
    """Return the tables by name, and the dates that `drift` is judged on: the touched `days` and some after them.

    `recordings` are the staged ones, `after` all utterances of the days as they will stand.
    """
    recordings_after = projection.recordings(run.lake, days, recordings, run.sources)
    utterances_after = projection.utterances_with_sources(run.lake, after, recordings_after, run.sources)
    tables = {
        "emotion_daily": emotion_daily(utterances_after),
        "speaker_daily": speaker_daily(after.lazy()).collect(),
        "quality_daily": quality_daily(recordings_after, utterances_after),
        "rejects_daily": rejects_daily(recordings_after),
        "feature_daily": feature_daily(run, days, after),
    }
    judged = dates_to_judge(run.lake, days, run.drift.days)
    return tables | {"drift": drift(run.lake, judged, days, tables, run.drift)}, judged
