"""Queries of the overview: audio in, utterances out, and the state of the last runs."""

from typing import NamedTuple

import polars as pl

from data_contracts.lake import Lake
from flows.analytics.runs import recent_runs
from flows.dashboard.filters import IN_SOURCES, IN_SOURCES_AND_KINDS, Filters, ask


class Figures(NamedTuple):
    """Totals of the selected days, sources and kinds of speaker."""

    audio_h: float
    n_recordings: int
    n_rejected: int
    n_utterances: int  # with an emotion
    speech_h: float
    n_abstained: int  # too little speech to score


def figures(lake: Lake, selection: Filters) -> Figures:
    audio = ask(
        lake,
        f"""SELECT coalesce(sum(seconds), 0) / 3600, coalesce(sum(n_recordings), 0)::BIGINT,
            coalesce(sum(n_rejected), 0)::BIGINT, coalesce(sum(n_abstained), 0)::BIGINT
            FROM quality_daily WHERE {IN_SOURCES}""",
        selection,
    ).row(0)
    speech = ask(
        lake,
        f"""SELECT coalesce(sum(n_utterances), 0)::BIGINT, coalesce(sum(speech_s), 0) / 3600
            FROM emotion_daily WHERE {IN_SOURCES_AND_KINDS}""",
        selection,
    ).row(0)
    return Figures(audio[0], audio[1], audio[2], speech[0], speech[1], audio[3])


def cards(figures: Figures) -> dict[str, tuple[str, str]]:
    """Return the cards of the figures: a label, its figure, and a word under it."""
    return {
        "Audio in": (f"{figures.audio_h:,.2f} h", f"{figures.n_recordings:,} recordings"),
        "Utterances out": (f"{figures.n_utterances:,}", f"{figures.speech_h:,.2f} h of speech"),
        "Rejected": (f"{figures.n_rejected:,}", "files that could not be used"),
        "Without emotion": (f"{figures.n_abstained:,}", "utterances in which too little is said"),
    }


def hours(lake: Lake, selection: Filters) -> pl.DataFrame:
    """Return date, source, hours."""
    sql = f"SELECT date, source, seconds / 3600 AS hours FROM quality_daily WHERE {IN_SOURCES} ORDER BY ALL"
    return ask(lake, sql, selection)


def emotions(lake: Lake, selection: Filters) -> pl.DataFrame:
    """Return date, emotion, n_utterances."""
    return ask(
        lake,
        f"""SELECT date, emotion, sum(n_utterances)::BIGINT AS n_utterances
            FROM emotion_daily WHERE {IN_SOURCES_AND_KINDS} GROUP BY ALL ORDER BY ALL""",
        selection,
    )


def runs(lake: Lake, limit: int = 12) -> pl.DataFrame:
    """Return the newest runs, newest first, dead and stopped ones too; see `flows.analytics.runs`."""
    return pl.DataFrame(recent_runs(lake, limit))


def failed_run_warnings(runs: pl.DataFrame) -> list[str]:
    """Return a sentence for each failed run, unless a later one of the same flow went well."""
    warnings, recovered = [], set[str]()
    for row in runs.sort("started", descending=True).iter_rows(named=True):
        if row["status"] in {"dead", "failed", "stopped"} and row["flow"] not in recovered:
            warnings.append(
                f"{row['run_id']} is {row['status']} in {row['stage'] or 'its beginning'}: {row['error'] or ''}"
            )
        elif row["status"] == "done":
            recovered.add(row["flow"])
    return warnings
