"""Artifacts of a run in Prefect's UI: a table of counts, and the link to the Data Docs."""

import contextlib

import httpx
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.context import FlowRunContext

from tasks.run.ledger import Ledger


def create_artifacts(ledger: Ledger) -> None:
    """Create them inside a flow run; without a server, the run's end will report that."""
    if FlowRunContext.get() is None:
        return
    with contextlib.suppress(httpx.TransportError):
        _create_artifacts(ledger)


def _create_artifacts(ledger: Ledger) -> None:
    row = ledger.row()
    counts = [{"what": name, "value": str(value)} for name, value in row.items() if value is not None]
    create_table_artifact(key="undertone-run", table=counts, description=f"Run {ledger.run_id}: {ledger.status}")
    if ledger.validation:
        link = ledger.validation if "://" in ledger.validation else f"file://{ledger.validation}"
        create_link_artifact(key="undertone-validation", link=link, link_text=f"Data Docs: {ledger.verdict}")
