"""Stage 7: the audit of staged tables; nothing that breaks a contract is published."""

import polars as pl

from data_contracts.expectations.suites import TABLES_WITHOUT_SUITE
from data_contracts.expectations.validation import Verdict, validate
from data_contracts.schema.tables import STAGED_TABLES
from tasks.aggregates.reconciliation import reconcile, with_recording_lengths, with_unexplained
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.stages.stage import stage
from tasks.staging.pending import PendingRecordings


@stage
def audit(run: Run, pending: PendingRecordings, n_uncounted: int) -> Verdict:
    """Check every staged table and write the verdict and the Data Docs to `validation/run=…/`.

    `n_uncounted` are planned objects that no worker has counted.
    """
    tables = {table: pl.DataFrame(run.lake.read_parquet(paths.table(run.id, table))) for table in STAGED_TABLES}
    frames = {name: frame.to_pandas() for name, frame in tables.items() if name not in TABLES_WITHOUT_SUITE}
    frames["recordings"] = with_unexplained(tables["recordings"]).to_pandas()
    frames["utterances"] = with_recording_lengths(run, tables["utterances"]).to_pandas()
    frames["run"] = pl.DataFrame([reconcile(run, pending, n_uncounted, tables)]).to_pandas()
    verdict = validate(frames, run.classes, run_id=run.id)
    for path, content in verdict.docs.items():
        run.lake.write(f"{run.validation}/docs/{path}", content)
    summary = {
        "verdict": verdict.word,
        "expectations": verdict.n_expectations,
        "failures": [vars(failure) for failure in verdict.failures],
    }
    run.lake.write_json(f"{run.validation}/verdict.json", summary)
    return Verdict(verdict.n_expectations, verdict.failures)


def docs_uri(run: Run) -> str:
    """Return the address of the Data Docs' start page."""
    return run.lake.uri_of(run.validation, "docs", "index.html")
