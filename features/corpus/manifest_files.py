"""Files of manifests: Parquet, CSV as programs and spreadsheets write it, or JSONL, as lazy rows."""

import io
import re
from typing import Any

import polars as pl

from data_contracts.errors import CorpusError, UsageError
from data_contracts.object_store.client_options import storage_options
from data_contracts.object_store.error_translation import translate_errors
from data_contracts.text_tables import decode_text, encoding_of, find_delimiter
from features.corpus.filesystem import connect

_HEAD_BYTES = 65_536
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # Polars decompresses them


def scan_manifest(manifest: str) -> pl.LazyFrame:
    """Return the rows of a manifest; all columns of a CSV are text.

    Raises UsageError for another kind of file, CorpusError where it cannot be read.
    """
    suffix = manifest.rsplit(".", 1)[-1].lower()
    if suffix not in {"parquet", "pq", "csv", "jsonl", "ndjson"}:
        raise UsageError(f"manifest: expected .parquet, .csv or .jsonl; found {manifest}")
    options: dict[str, Any] = {"storage_options": storage_options(manifest) or None}
    try:
        if suffix in {"parquet", "pq"}:
            rows = pl.scan_parquet(manifest, glob=False, **options)
        else:
            source, head = _text_source(manifest)
            if suffix == "csv":
                rows = pl.scan_csv(source, infer_schema=False, glob=False, **_csv_form(head), **options)
                rows = rows.rename(str.strip)
            else:
                rows = pl.scan_ndjson(source, infer_schema_length=None, **options)
        rows.collect_schema()
    except (FileNotFoundError, pl.exceptions.PolarsError, OSError) as error:
        raise CorpusError(f"the manifest {manifest} cannot be read: {error}") from error
    return rows


def _text_source(manifest: str) -> tuple[str | io.BytesIO, str]:
    """Return what Polars is to scan, the file itself where it is UTF-8, and its beginning."""
    fs, path = connect(manifest)
    with translate_errors(f"reading the manifest {manifest}", CorpusError):
        head = bytes(fs.cat_file(path, start=0, end=_HEAD_BYTES))
    if head.startswith(_COMPRESSED):
        return manifest, ""
    if encoding_of(head, f"manifest {manifest}") == "utf-8":
        return manifest, head.decode(errors="ignore")
    with translate_errors(f"reading the manifest {manifest}", CorpusError):
        text = decode_text(bytes(fs.cat_file(path)), f"manifest {manifest}")
    return io.BytesIO(text.encode()), text[:_HEAD_BYTES]


def _csv_form(head: str) -> dict[str, Any]:
    """Return the delimiter as Polars' option, and whether a line before the header tells it to a spreadsheet."""
    n_skipped = 1 if re.match(r"sep=.\r?\n", head) else 0
    lines = [line for line in head.splitlines()[n_skipped:] if line.strip()]
    return {"separator": find_delimiter(lines[0], ["uri"]) if lines else ",", "skip_rows": n_skipped}
