"""Data dictionary: the text of `undertone tables` and of docs/tables.md, from `data_contracts.schema.dictionary`."""

import json
import textwrap
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pyarrow as pa
from rich.table import Table

from data_contracts.errors import UsageError
from data_contracts.schema import dictionary, feature_sets, tables
from data_contracts.schema.tables import PARTITIONED_TABLES, TABLE_KEYS, UTTERANCE_KEY
from flows.analytics.sql import FEATURE_SET_VIEWS
from flows.terminal.summary import rich_table

_HIVE = [pa.field("version", pa.string(), nullable=False), pa.field("date", pa.date32(), nullable=False)]
_DIMENSIONS = ("arousal", "valence", "dominance")
_HEAD = """# Tables

Made by `make docs` from the schemas and the data dictionary (`data_contracts`); a test holds it
true, and `undertone tables` prints the same. Columns in **bold** are a row's key. Times in a
recording are seconds from its start unless it says otherwise; timestamps are UTC.
"""


@dataclass(frozen=True)
class Column:
    """A column: `kind` is the type as Arrow calls it; a key is never null."""

    name: str
    kind: str
    unit: str
    meaning: str
    is_key: bool
    may_be_null: bool


@dataclass(frozen=True)
class Entry:
    """A table or a feature set by its name in SQL; `partition` are its folder columns."""

    name: str
    what: str  # table or feature set
    row: str
    key: tuple[str, ...]
    partition: tuple[str, ...]
    columns: tuple[Column, ...]


def entries() -> list[Entry]:
    """Return all entries, tables first."""
    return [*map(_table, TABLE_KEYS), *(_feature_set(name) for name in FEATURE_SET_VIEWS)]


def entry(name: str) -> Entry:
    """Return one entry. Raises UsageError where there is no such table or feature set."""
    if name not in TABLE_KEYS and name not in FEATURE_SET_VIEWS:
        raise UsageError(f"expected one of {', '.join([*TABLE_KEYS, *FEATURE_SET_VIEWS])}; found {name!r}")
    return _table(name) if name in TABLE_KEYS else _feature_set(name)


def _table(name: str) -> Entry:
    schema = (
        tables.utterances_schema(["<class>"], _DIMENSIONS) if name == "utterances" else getattr(tables, name.upper())
    )
    key, partition = TABLE_KEYS[name], ("date",) if name in PARTITIONED_TABLES else ()
    return Entry(name, "table", dictionary.TABLE_DOCS[name], key, partition, _columns(name, schema, key))


def _feature_set(name: str) -> Entry:
    feature_set = FEATURE_SET_VIEWS[name]
    key = ("uri", "etag", "tries") if feature_set == "recordings" else UTTERANCE_KEY
    schema = pa.schema([*feature_schema(feature_set), *_HIVE])
    columns = _columns(feature_set, schema, (*key, "version"))
    return Entry(
        name, "feature set", dictionary.FEATURE_SET_DOCS[feature_set], (*key, "version"), ("version", "date"), columns
    )


def feature_schema(feature_set: str) -> pa.Schema:
    """Return a feature set's columns in its files; those of eGeMAPS are named by the DSP."""
    if feature_set == "egemaps":
        from features.dsp.gemaps import EGEMAPS_NAMES

        return feature_sets.egemaps_schema(EGEMAPS_NAMES)
    schemas = {
        "recordings": feature_sets.RECORDING_FEATURES,
        "segments": feature_sets.SEGMENTS,
        "suprasegmental": feature_sets.suprasegmental_schema(-1),
        "embeddings": feature_sets.embeddings_schema(-1),
        "emotion_embeddings": feature_sets.embeddings_schema(-1, "emotion_embeddings"),
        "logmel": feature_sets.LOGMEL,
        "lld": feature_sets.LLD,
    }
    return schemas[feature_set]


def _columns(name: str, schema: pa.Schema, key: Iterable[str]) -> tuple[Column, ...]:
    return tuple(
        Column(field.name, _kind(field.type), word.unit, word.meaning, field.name in key, field.nullable)
        for field in schema
        for word in [dictionary.column_doc(name, field.name)]
    )


def _kind(kind: pa.DataType) -> str:
    """Return the name of a type as people call it.

    >>> _kind(pa.list_(pa.float16())), _kind(pa.timestamp("us", tz="UTC")), _kind(pa.date32())
    ('list of float16', 'timestamp', 'date')
    """
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"list of {_kind(kind.value_type)}"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    plain = {pa.string(): "text", pa.date32(): "date", pa.float64(): "float64", pa.float32(): "float32"}
    return plain.get(kind) or {"halffloat": "float16"}.get(str(kind), str(kind))


def entries_table(found: list[Entry]) -> Table:
    """Return the entries as a table, one line each."""
    rows = [
        {
            "name": each.name,
            "": each.what,
            "a row is": each.row,
            "key": ", ".join(each.key),
            "lies by": ", ".join(each.partition),
        }
        for each in found
    ]
    return rich_table(pa.Table.from_pylist(rows))


def entry_table(found: Entry) -> Table:
    """Return an entry's columns as a table, one line each."""
    rows = [
        {
            "column": each.name,
            "type": each.kind,
            "unit": each.unit,
            "meaning": each.meaning,
            "": ", ".join(_notes(each, found)),
        }
        for each in found.columns
    ]
    return rich_table(pa.Table.from_pylist(rows), f"{found.name}: a row is {found.row}")


def as_json_document(found: list[Entry]) -> str:
    return json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=2)


def as_markdown(found: list[Entry]) -> str:
    """Return the whole of docs/tables.md."""
    parts = [_HEAD]
    for what, title, words in (
        ("table", "Delta tables", "In `analytics/`, versioned: `undertone query --as-of`."),
        ("feature set", "Feature sets", "Plain Parquet in `features/<set>/version=…/date=…/`."),
    ):
        parts.append(f"## {title}\n\n{words}\n")
        parts += [_section(each) for each in found if each.what == what]
    return "\n".join(parts)


def _section(found: Entry) -> str:
    lies = f" Lies by {' and '.join(found.partition)}." if found.partition else ""
    lines = [
        f"### {found.name}",
        "",
        textwrap.fill(f"A row is {found.row}.{lies}", 100),
        "",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
    ]
    for each in found.columns:
        name = f"**`{each.name}`**" if each.is_key else f"`{each.name}`"
        kind = f"{each.kind}, or null" if each.may_be_null else each.kind
        meaning = each.meaning.replace("<", "&lt;")
        lines.append(f"| {name} | {kind} | {each.unit} | {meaning} |")
    return "\n".join([*lines, ""])


def _notes(column: Column, found: Entry) -> list[str]:
    notes = {"key": column.is_key, "folder": column.name in found.partition, "may be null": column.may_be_null}
    return [note for note, holds in notes.items() if holds]
