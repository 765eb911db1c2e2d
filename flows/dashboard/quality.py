"""Queries of the quality view: audio measures, rejects, audits and drift."""

from typing import Any, NamedTuple

import polars as pl

from data_contracts.lake import Lake
from flows.dashboard.filters import IN_DAYS, IN_SOURCES, Filters, ask

MEASURES = ("loudness_lufs", "snr_db", "bandwidth_hz")


class Audit(NamedTuple):
    """Verdict of a run's validation, and the address of its Data Docs."""

    run_id: str
    verdict: str
    validation: str | None


def rejects(lake: Lake, selection: Filters) -> pl.DataFrame:
    """Return reason, n."""
    return ask(
        lake,
        f"""SELECT reason, sum(n)::BIGINT AS n FROM rejects_daily WHERE {IN_SOURCES}
            GROUP BY ALL ORDER BY n DESC, reason""",
        selection,
    )


def daily(lake: Lake, selection: Filters) -> pl.DataFrame:
    """Return date, source, and of each of `MEASURES` the median, `…_p10` and `…_p90`."""
    columns = ", ".join(f"{name}_p10, {name}, {name}_p90" for name in MEASURES)
    return ask(lake, f"SELECT date, source, {columns} FROM quality_daily WHERE {IN_SOURCES} ORDER BY ALL", selection)


def shares(lake: Lake, selection: Filters) -> dict[str, Any]:
    """Return rejected (of recordings), clipped (of samples), abstained (of utterances); None without any."""
    return ask(
        lake,
        f"""SELECT sum(n_rejected) / sum(n_recordings) AS rejected,
            sum(clipped_share * n_ok) / nullif(sum(n_ok), 0) AS clipped,
            sum(n_abstained) / nullif(sum(n_utterances), 0) AS abstained
            FROM quality_daily WHERE {IN_SOURCES}""",
        selection,
    ).row(0, named=True)


def drift(lake: Lake, selection: Filters, limit: int = 6) -> pl.DataFrame:
    """Return date, measure, value, threshold, over, of the `limit` measures nearest to or past their thresholds."""
    return ask(
        lake,
        f"""WITH in_days AS (SELECT * FROM drift WHERE {IN_DAYS} AND value IS NOT NULL),
            worst AS (SELECT measure FROM in_days GROUP BY 1 ORDER BY max(value / threshold) DESC, 1 LIMIT $limit)
            SELECT date, measure, value, threshold, "over" FROM in_days SEMI JOIN worst USING (measure) ORDER BY ALL""",
        selection.values() | {"limit": limit},
    )


def audits(lake: Lake, limit: int = 6) -> list[Audit]:
    """Return the audits of the newest runs that published."""
    rows = ask(
        lake, "SELECT run_id, verdict, validation FROM runs ORDER BY started DESC LIMIT $limit", {"limit": limit}
    )
    return [Audit(*row) for row in rows.iter_rows()]


def percent(share: float | None) -> str:
    """
    >>> percent(0.1234), percent(None)
    ('12.3%', 'none')
    """
    return "none" if share is None else f"{100 * share:.1f}%"
