"""Backfill flow: a range of dates, again or for the first time."""

import datetime as dt
from typing import Any

from prefect import flow

from flows.dates import date_range
from flows.notifications.hooks import NOTIFY_HOOKS
from flows.pipeline import Stage, process
from flows.settings import Settings
from tasks.run.ledger import Ledger


@flow(name="backfill", **NOTIFY_HOOKS)
def backfill(
    start: dt.date | None = None,
    end: dt.date | None = None,
    stage: Stage | None = None,
    force: bool = False,
    settings: dict[str, Any] | None = None,
) -> Ledger:
    """Process every date from `start` to `end`, both included; without either, all dates of the corpus.

    Stage `features` extracts and publishes nothing; `score` identifies, scores and publishes from stored features,
    without reading audio; by default both. Work that the current versions have done is skipped unless `force`.
    """
    return process(
        Settings.load(**(settings or {})),
        flow="backfill",
        dates=date_range(start, end),
        stage=stage,
        force=force,
        rescore=True,
    )
