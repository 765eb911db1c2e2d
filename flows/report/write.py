"""Writing a run's report beside its validation."""

from collections.abc import Mapping
from typing import Any

from data_contracts.lake import Lake
from flows.report.facts import folder, gather
from flows.report.page import page


def write(lake: Lake, run: Mapping[str, Any]) -> str:
    """Writes the page. Returns where it is; `run` is a row of `flows.analytics.runs.HISTORY`."""
    path = f"{folder(run['run_id'])}/report.html"
    lake.write(path, document(lake, run).encode())
    return lake.at(path)


def document(lake: Lake, run: Mapping[str, Any]) -> str:
    """The page."""
    return page(gather(lake, run))
