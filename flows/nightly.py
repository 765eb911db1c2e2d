"""Nightly flow: one date, and late files of the look-back window before it."""

import datetime as dt
from typing import Any

from prefect import flow

from flows.dates import yesterday
from flows.notifications.hooks import NOTIFY_HOOKS
from flows.pipeline import process
from flows.settings import Settings
from tasks.run.ledger import Ledger


@flow(name="nightly", **NOTIFY_HOOKS)
def nightly(date: dt.date | None = None, settings: dict[str, Any] | None = None) -> Ledger:
    """Process `date` (default: yesterday, UTC) and the look-back window before it.

    `settings` are the flags by name; the others come from the environment and undertone.toml.
    """
    loaded = Settings.load(**(settings or {}))
    last = date or yesterday()
    dates = [last - dt.timedelta(days=back) for back in range(loaded.look_back_days, -1, -1)]
    return process(loaded, flow="nightly", dates=dates)
