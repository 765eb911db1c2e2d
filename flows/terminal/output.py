"""Output of rows as a table, CSV, JSON or Parquet, in batches, so that an answer may be larger than memory."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from data_contracts.errors import UsageError
from flows.terminal.screen import Format, escape_control, escape_control_in_json, require_written
from flows.terminal.summary import rich_table

_MAX_ROWS = 200  # in a printed table


def print_rows(
    console: Console,
    answer: pa.Table | pa.RecordBatchReader,
    *,
    style: Format = "table",
    output: Path | None = None,
) -> None:
    """Print an answer, or write it to a file. Parquet goes to a file or a pipe, never to a terminal."""
    batches = answer.to_reader() if isinstance(answer, pa.Table) else answer
    if style == "table" and output is None:
        _table(console, batches)
        return
    to_terminal = output is None and sys.stdout.isatty()
    if style == "parquet":
        if to_terminal:
            raise UsageError("Parquet is not for a terminal: give --output FILE, or a pipe")
        with _open_output(output) as file:
            _parquet(file, batches)
        return
    with _open_output(output) as file:
        for text in _AS_TEXT[style](batches):
            file.write((escape_control(text, keep="\n\t") if to_terminal and style == "csv" else text).encode())


def _table(console: Console, batches: pa.RecordBatchReader) -> None:
    """Print the first rows, and the number of rows."""
    first_rows, n_rows = batches.schema.empty_table(), 0
    for batch in batches:
        if n_rows < _MAX_ROWS:
            first_rows = pa.concat_tables([first_rows, pa.Table.from_batches([batch.slice(0, _MAX_ROWS - n_rows)])])
        n_rows += batch.num_rows
    console.print(rich_table(first_rows))
    if n_rows > _MAX_ROWS:
        console.print(f"{_MAX_ROWS} of {n_rows:,} rows; --format csv, json or parquet gives all")
    require_written(console)


def _csv(batches: pa.RecordBatchReader, separator: str = ",") -> Iterator[str]:
    """Yield CSV; a list or a struct is JSON in its cell."""
    for number, frame in enumerate(_frames(batches)):
        nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
        flat = frame.with_columns(
            pl.Series(name, [_cell(value) for value in frame[name].to_list()], pl.String) for name in nested
        )
        yield flat.write_csv(include_header=not number, separator=separator)


def _tsv(batches: pa.RecordBatchReader) -> Iterator[str]:
    return _csv(batches, "\t")


def _json(batches: pa.RecordBatchReader) -> Iterator[str]:
    """Yield one array of objects: integers and decimals as numbers, dates as ISO, non-finite values as null."""
    opening = "["
    for frame in _frames(batches):
        numbers = [
            pl.col(name).cast(pl.Int128 if kind.scale == 0 else pl.Float64)
            for name, kind in frame.schema.items()
            if isinstance(kind, pl.Decimal)
        ]
        if not frame.is_empty():
            yield opening + escape_control_in_json(frame.with_columns(numbers).write_json()[1:-1])
            opening = ","
    yield "[]\n" if opening == "[" else "]\n"


_AS_TEXT: dict[Format, Callable[[pa.RecordBatchReader], Iterator[str]]] = {"csv": _csv, "json": _json, "table": _tsv}


def _frames(batches: pa.RecordBatchReader) -> Iterator[pl.DataFrame]:
    """Yield the batches after an empty frame, which gives the columns where there are no rows."""
    yield pl.DataFrame(batches.schema.empty_table())
    for batch in batches:
        yield pl.DataFrame(pa.Table.from_batches([batch]))


def _cell(value: Any) -> str | None:
    return None if value is None else json.dumps(value, default=str, ensure_ascii=False)


def _parquet(file: "_CountingFile", batches: pa.RecordBatchReader) -> None:
    with pq.ParquetWriter(pa.PythonFile(file, mode="w"), batches.schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


class _CountingFile:
    """A stream that counts its bytes for Parquet's writer; a pipe does not."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._n_bytes, self.closed = file, 0, False

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._n_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self._n_bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Leave closing to the caller that opened the stream."""


@contextmanager
def _open_output(output: Path | None) -> Iterator[_CountingFile]:
    """Open the file, which appears when it is complete, or standard output."""
    if output is None:
        with contextlib.suppress(BrokenPipeError):  # `| head` has seen enough
            yield _CountingFile(sys.stdout.buffer)
            sys.stdout.flush()
        return
    draft = output.with_name(f".{output.name}.part")
    try:
        with draft.open("wb") as file:
            yield _CountingFile(file)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
