"""Validation of staged tables with Great Expectations, and its Data Docs. Only this module runs it."""

import datetime as dt
import itertools
import logging
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_contracts.expectations.data_docs import CheckedTable, make_stand_alone
from data_contracts.expectations.suites import DRIFTED_COLUMN, suites


@dataclass(frozen=True)
class Failure:
    """One expectation that did not hold."""

    table: str
    expectation: str
    columns: str
    severity: str
    found: str

    @property
    def is_drift(self) -> bool:
        """True for the warning of drift."""
        return self.columns == DRIFTED_COLUMN

    def __str__(self) -> str:
        return f"{self.table}: {self.expectation}({self.columns}): {self.found}"


@dataclass(frozen=True)
class Verdict:
    """`passed` unless a critical expectation failed; `docs` are the Data Docs' files by path."""

    n_expectations: int
    failures: list[Failure] = field(default_factory=list)
    docs: dict[str, bytes] = field(default_factory=dict)

    @property
    def critical(self) -> list[Failure]:
        return [failure for failure in self.failures if failure.severity == "critical"]

    @property
    def word(self) -> str:
        """Verdict in one word for the ledger: passed, warned or stopped."""
        return "stopped" if self.critical else "warned" if self.failures else "passed"


def validate(frames: Mapping[str, Any], classes: list[str], *, run_id: str) -> Verdict:
    """Validate staged pandas frames by table name; frames without a suite, or without rows, are left out."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of Great Expectations' own dependencies
        import great_expectations as gx

        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        context = _context(folder)
        context.variables.progress_bars = {"globally": False}
        source = context.data_sources.add_pandas("staging")
        results = {}
        for table, expectations in suites(classes).items():
            frame = frames.get(table)
            if frame is None or not len(frame):
                continue
            suite = context.suites.add(gx.ExpectationSuite(name=table, expectations=expectations))
            batch = source.add_dataframe_asset(name=table).add_batch_definition_whole_dataframe(table)
            check = context.validation_definitions.add(gx.ValidationDefinition(name=table, data=batch, suite=suite))
            # Without a time Great Expectations parses one from the name: an id that ends in Z-990000 was a time zone.
            name = gx.core.RunIdentifier(run_name=run_id, run_time=dt.datetime.now(dt.UTC))
            # BASIC: counts and examples, without every row's index, which takes a third of the time.
            results[table] = check.run(batch_parameters={"dataframe": frame}, run_id=name, result_format="BASIC")
        context.build_data_docs()
        pages = _read_pages(Path(folder))
    failures = {table: _failures(table, result) for table, result in results.items()}
    checked = [
        CheckedTable(table, len(result.results), [f"{failure.severity}: {failure}" for failure in failures[table]])
        for table, result in results.items()
    ]
    docs = make_stand_alone(pages, checked, run_id=run_id)
    return Verdict(sum(table.n_expectations for table in checked), [*itertools.chain(*failures.values())], docs)


def warm_up() -> None:
    """Import Great Expectations, which takes seconds, ahead of `validate`."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations.expectations  # noqa: F401


def _failures(table: str, result: Any) -> list[Failure]:
    return [
        Failure(
            table=table,
            expectation=item.expectation_config.type,
            columns=_columns(item.expectation_config.kwargs),
            severity=str(getattr(item.expectation_config.severity, "value", item.expectation_config.severity)),
            found=_finding(item),
        )
        for item in result.results
        if not item.success
    ]


def _columns(arguments: Mapping[str, Any]) -> str:
    names = [arguments.get(key) for key in ("column", "column_A", "column_B")]
    return ", ".join([name for name in names if name] or arguments.get("column_list", []))


def _finding(item: Any) -> str:
    failed = [info["exception_message"] for info in _exceptions(item.exception_info or {})]
    if failed:
        return str(failed[0])
    values = item.result or {}
    if "unexpected_count" not in values:
        return f"observed {values.get('observed_value')}"
    examples = ", ".join(_format_value(value) for value in values.get("partial_unexpected_list", [])[:3])
    return f"{values['unexpected_count']} of {values['element_count']} rows; for example {examples}"


def _exceptions(info: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the exceptions of a result: Great Expectations gives one as it is, or several by metric."""
    return [each for each in (info, *info.values()) if isinstance(each, Mapping) and each.get("exception_message")]


def _format_value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_format_value, value))})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _context(folder: str) -> Any:
    """Create a context in memory; one on disk rewrites its YAML for every addition. Its Data Docs: a page a table."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": folder},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "site_section_builders": {"expectations": "none"},  # a table's page shows its suite too
    }
    stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = DataContextConfig(store_backend_defaults=stores, data_docs_sites={"staged": site})
    return gx.get_context(mode="ephemeral", project_config=config)


def _read_pages(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.html")}
