"""Retry flow: rejected files, read once more."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from prefect import flow

from data_contracts.errors import UsageError
from data_contracts.rejects import Reason
from flows.dates import date_range
from flows.notifications.hooks import NOTIFY_HOOKS
from flows.pipeline import process
from flows.settings import Settings
from tasks.run.context import RejectFilter
from tasks.run.ledger import Ledger
from tasks.staging.rejects import matching_rejects


@flow(name="retry", **NOTIFY_HOOKS)
def retry(
    reasons: Sequence[str] = (),
    uris: Sequence[str] = (),
    start: dt.date | None = None,
    end: dt.date | None = None,
    settings: dict[str, Any] | None = None,
) -> Ledger:
    """Read again the rejects of these reasons, URIs and dates (all where none is named), and publish the result.

    A file that failed three times for one reason is skipped until it changes; the ledger counts those.
    """
    loaded = Settings.load(**(settings or {}))
    selection = reject_filter(reasons, uris)
    dates = date_range(start, end)
    matching_rejects(loaded.open_lake(), selection, None if dates is None else tuple(dates))
    return process(loaded, flow="retry", dates=dates, retry=selection)


def reject_filter(reasons: Sequence[str], uris: Sequence[str]) -> RejectFilter:
    """Return the filter. Raises UsageError for an unknown reason."""
    for reason in reasons:
        if reason not in set(Reason):
            raise UsageError(f"expected a reason, one of {', '.join(Reason)}; found {reason!r}")
    return RejectFilter(tuple(dict.fromkeys(map(str, reasons))), tuple(dict.fromkeys(uris)))
