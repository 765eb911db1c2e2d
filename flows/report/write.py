"""Rendering of a run's report, and writing it beside the validation."""

from collections.abc import Mapping
from typing import Any

from data_contracts.lake import Lake
from flows.report.facts import gather_facts, validation_folder
from flows.report.page import render_page


def write_report(lake: Lake, run: Mapping[str, Any]) -> str:
    """Write the page and return its path; `run` is a row of `flows.analytics.runs.HISTORY`."""
    path = f"{validation_folder(run['run_id'])}/report.html"
    lake.write(path, render_report(lake, run).encode())
    return lake.uri_of(path)


def render_report(lake: Lake, run: Mapping[str, Any]) -> str:
    """Return the page."""
    return render_page(gather_facts(lake, run))
