"""Dates of a manifest, as programs and spreadsheets write them: the year first, or an error that names the row."""

import datetime as dt
import re

import polars as pl

from data_contracts.errors import CorpusError

# A time behind it is allowed; the day is taken as it is written, whatever zone follows.
_SEPARATED = r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]\d.*)?$"
_COMPACT = r"^((?:19|20)\d{2})(\d{2})(\d{2})(?:\.0|T\d.*)?$"
_SPREADSHEET_EPOCH = dt.date(1899, 12, 30)


def parse_dates(rows: pl.LazyFrame, manifest: str) -> pl.LazyFrame:
    """Return the rows with `date` as a date, null where it is empty.

    Raises CorpusError with the first row whose date is not understood, wherever in the manifest it stands.
    """
    text = pl.col("date").cast(pl.String).str.strip_chars()
    text = pl.when(text.str.len_chars() > 0).then(text)
    iso = text.str.replace(_SEPARATED, "${1}-${2}-${3}").str.replace(_COMPACT, "${1}-${2}-${3}")
    iso = pl.when(iso.str.contains(r"^\d{4}-")).then(iso)  # else Polars takes 21-11-26 for the year 21
    day = iso.str.to_date("%Y-%m-%d", strict=False)
    wrong = rows.select(pl.int_range(1, pl.len() + 1).alias("row"), "uri", found=text, day=day).filter(
        pl.col("found").is_not_null(), pl.col("day").is_null()
    )
    first = wrong.select("row", "uri", "found", n=pl.len()).head(1).collect().to_dicts()
    for row in first:
        others = f", and {row['n'] - 1:,} more such" if row["n"] > 1 else ""
        raise CorpusError(
            f"manifest {manifest}, row {row['row']} ({row['uri']}): expected a date such as 2026-11-21, 20261121 or "
            f"2026-11-21T10:30:00Z; found {row['found']!r}{_explain(row['found'])}{others}; write it with the year "
            "first, or leave it empty where it is unknown"
        )
    return rows.with_columns(date=day)


def _explain(found: str) -> str:
    """Say what a date that is not understood may be.

    >>> _explain("11/12/2026"), _explain("46347")
    (', of which day and month cannot be told apart for sure', ", a spreadsheet's number for 2026-11-21")
    """
    if re.match(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}", found):
        return ", of which day and month cannot be told apart for sure"
    if re.fullmatch(r"[3-6]\d{4}(\.\d+)?", found):
        return f", a spreadsheet's number for {_SPREADSHEET_EPOCH + dt.timedelta(days=int(float(found)))}"
    if re.fullmatch(r"\d{10}|\d{13}|\d{16}|\d{19}", found):
        return ", perhaps a time since 1970"
    return ""
