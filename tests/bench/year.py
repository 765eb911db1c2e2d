"""Query times on a year of nights before and after `undertone maintain`: files, seconds, S3 requests.

    .venv/bin/python tests/bench/year.py [--nights 365] [--shards 2] [--s3-nights 5]

The lake is made with our own writers and schemas; the values are drawn. Every query is printed with what its reader
says of pruning: DuckDB's EXPLAIN ANALYZE and Polars' plan. On S3 (a server on loopback that writes down what it is
asked) a shorter lake shows the requests, which are what a query costs there.
"""

import argparse
import datetime as dt
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from counted_s3 import counted_s3
from deltalake import DeltaTable, write_deltalake
from tables import print_head, print_machine, print_row

from data_contracts import lake as lakes
from data_contracts.lake import Lake
from data_contracts.schema import feature_sets
from features.dsp.gemaps import EGEMAPS_NAMES
from features.store import shard_files
from tasks.stages.compact import tidy_tables
from tasks.stages.pack import pack_features

FIRST = dt.date(2025, 1, 1)
EMOTIONS = ("anger", "happiness", "neutral", "sadness")
N_RECORDINGS, N_UTTERANCES, N_SPEAKERS = 20, 60, 200  # a shard's; the lake's
VERSION = "0123456789ab"
NOW = dt.datetime.now(dt.UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--s3-nights", type=int, default=5)
    options = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        lake = lakes.open(f"{folder}/lake")
        before_and_after(lake, options.nights, options.shards, lambda query: (timed(query),), ("ms",))
        if options.s3_nights:
            with counted_s3("year", Path(folder) / "requests.log", COLUMNS) as count_requests:
                before_and_after(
                    lakes.open("s3://year/lake"), options.s3_nights, options.shards, count_requests, COLUMNS
                )


COLUMNS = ("LIST", "HEAD", "GET")


def before_and_after(
    lake: Lake, nights: int, shards: int, measure: Callable[[Callable[[], object]], tuple], columns: tuple[str, ...]
) -> None:
    """Makes the lake, asks, maintains, asks again, and prints a row a query."""
    started = time.perf_counter()
    make(lake, nights, shards)
    made_s = time.perf_counter() - started
    before = {name: (*measure(query), evidence(query)) for name, query in queries(lake, nights).items()}
    n_before, started = files(lake), time.perf_counter()
    done = tidy_tables.fn(lake, keep_versions_days=7, dry_run=False)
    done += pack_features.fn(lake, NOW, older_than_days=7, dry_run=False)
    seconds = time.perf_counter() - started
    after = {name: (*measure(query), evidence(query)) for name, query in queries(lake, nights).items()}
    where = "a local folder" if lake.is_local else "S3 on loopback"
    print(f"\n{nights} nights of {shards} shards, {where}; made in {made_s:.0f} s, maintained in {seconds:.0f} s\n")
    print_head("files that a reader opens", "before", "after")
    for name, n in n_before.items():
        print_row(name, f"{n:,}", f"{files(lake)[name]:,}")
    heads = [head for column in columns for head in (f"{column} before", "after")]
    print()
    print_head("query", *heads, "what its reader says, before", "after")
    for name in before:
        figures = " | ".join(f"{b} | {a}" for b, a in zip(before[name][:-1], after[name][:-1], strict=True))
        print_row(name, figures, before[name][-1], after[name][-1])
    assert sum(line.files_after for line in done) < sum(line.files_before for line in done)


def make(lake: Lake, nights: int, shards: int) -> None:
    """Features by the store's own writer; tables a commit a night, in which some of the night before comes late."""
    random = np.random.default_rng(0)
    tables: dict[str, DeltaTable] = {}
    late: list[pl.DataFrame] = []
    for night in range(nights):
        date = FIRST + dt.timedelta(night)
        said, read = [], []
        for shard in range(shards):
            name = f"{night:08x}{shard:08x}"
            recordings, utterances, features = drawn(random, name, date)
            shard_files.write_shard(lake, features, version=VERSION, date=date, shard=name, configuration="year.py")
            said.append(utterances)
            read.append(recordings)
        utterances = pl.concat(said)
        commit(lake, tables, "utterances", pl.concat([utterances[:-20], *late]), ["date"])
        commit(lake, tables, "recordings", pl.concat(read), ["date"])
        daily = utterances.group_by("date", "emotion").agg(n_utterances=pl.len(), speech_s=pl.lit(1.0))
        commit(lake, tables, "emotion_daily", daily)
        late = [utterances[-20:]]


def drawn(
    random: np.random.Generator, shard: str, date: dt.date
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, pa.Table]]:
    """A shard's rows of `recordings` and `utterances`, and its feature sets."""
    ids = [f"{shard}{number:016x}" for number in range(N_RECORDINGS)]
    owner = np.sort(random.integers(N_RECORDINGS, size=N_UTTERANCES))
    keys = [
        pa.array([ids[place] for place in owner]),
        pa.array(np.zeros(N_UTTERANCES, np.int16)),
        pa.array(np.arange(N_UTTERANCES, dtype=np.int32)),
    ]
    starts, levels = random.uniform(0, 60, N_UTTERANCES), random.normal(-30, 5, N_UTTERANCES).astype(np.float32)
    values = random.normal(size=(len(EGEMAPS_NAMES), N_UTTERANCES)).astype(np.float32)
    moment = dt.datetime(date.year, date.month, date.day, tzinfo=dt.UTC)
    told = {"etag": "e", "bytes": 10**6, "modified": moment, "read_at": moment, "tries": 1, "status": "ok"}
    rows = [{"uri": f"s3://corpus/{date}/{name}.flac", "recording_id": name, **told} for name in ids]
    features = {
        "recordings": pa.Table.from_pylist(rows, schema=feature_sets.RECORDING_FEATURES),
        "segments": pa.table([*keys, pa.array(starts), pa.array(starts + 3), levels], schema=feature_sets.SEGMENTS),
        "egemaps": pa.table([*keys, *values], schema=feature_sets.egemaps_schema(EGEMAPS_NAMES)),
    }
    made_by = {"emotion_model": "emotion/1", "speaker_model": "speaker/1", "feature_version": VERSION, "run_id": shard}
    scores = random.dirichlet(np.ones(len(EMOTIONS)), N_UTTERANCES)
    utterances = pl.DataFrame(features["segments"]).select(
        *(pl.col(name) for name in ("recording_id", "channel", "segment", "start_s", "end_s")),
        channel_name=pl.lit(None, pl.String),
        emotion=pl.Series([EMOTIONS[place] for place in scores.argmax(1)]),
        emotion_reason=pl.lit(None, pl.String),
        **{f"score_{label}": pl.Series(scores[:, place]) for place, label in enumerate(EMOTIONS)},
        speaker_id=pl.Series([f"spk-{who:04d}" for who in random.integers(N_SPEAKERS, size=N_UTTERANCES)]),
        speaker_score=pl.lit(0.8),
        speaker_known=pl.lit(False),
        **{name: pl.lit(value) for name, value in made_by.items()},
        date=pl.lit(date),
    )
    recordings = pl.DataFrame(features["recordings"]).with_columns(
        date=pl.lit(date), **{name: pl.lit(value) for name, value in made_by.items()}
    )
    return recordings, utterances, features


def commit(
    lake: Lake, tables: dict[str, DeltaTable], name: str, rows: pl.DataFrame, by: list[str] | None = None
) -> None:
    if name not in tables:
        uri, options = lake.uri_of("analytics", name), lake.storage_options
        write_deltalake(uri, rows.to_arrow(), partition_by=by, storage_options=options)
        tables[name] = DeltaTable(uri, storage_options=options)
    else:
        write_deltalake(tables[name], rows.to_arrow(), mode="append")


def files(lake: Lake) -> dict[str, int]:
    found = {f"analytics/{name}": len(lake.delta(name).file_uris()) for name in lake.names("analytics")}
    for name in lake.names("features"):
        found[f"features/{name}"] = len(lake.fs.glob(f"{lake.path}/features/{name}/*/*/*.parquet"))
    return found


class Query:
    """A question to one reader: called, it answers; it can say how it went about it."""

    def __init__(self, ask: Callable[[], object], explain: Callable[[], str]) -> None:
        self.ask, self.explain = ask, explain

    def __call__(self) -> object:
        return self.ask()


def queries(lake: Lake, nights: int) -> dict[str, Query]:
    day = FIRST + dt.timedelta(nights // 2)
    egemaps = lake.uri_of("features", "egemaps", "*", "*", "*.parquet")
    loudness = "loudness_sma3_amean"
    said = {
        "a day's utterances": ("utterances", f"SELECT * FROM utterances WHERE date = DATE '{day}'"),
        "a speaker's year": ("utterances", "SELECT * FROM utterances WHERE speaker_id = 'spk-0007'"),
        "emotion by month": (
            "utterances",
            "SELECT date_trunc('month', date) AS month, emotion, count(*) FROM utterances GROUP BY ALL",
        ),
        "loudness by month": (
            "egemaps",
            f"SELECT date_trunc('month', date) AS month, avg({loudness}) FROM egemaps GROUP BY ALL",
        ),
        "a day's loudness": ("egemaps", f"SELECT avg({loudness}) FROM egemaps WHERE date = DATE '{day}'"),
    }
    month, date = pl.col("date").dt.truncate("1mo").alias("month"), pl.col("date") == day
    asked = {
        "a day's utterances": lambda: utterances(lake).filter(date),
        "a speaker's year": lambda: utterances(lake).filter(pl.col("speaker_id") == "spk-0007"),
        "emotion by month": lambda: utterances(lake).group_by(month, "emotion").len(),
        "loudness by month": lambda: parquet(lake, egemaps).group_by(month).agg(pl.col(loudness).mean()),
        "a day's loudness": lambda: parquet(lake, egemaps).filter(date).select(pl.col(loudness).mean()),
    }
    found = {}
    for name, (table, sql) in said.items():
        found[f"{name}, DuckDB"] = in_duckdb(lake, table, sql, egemaps)
        found[f"{name}, Polars"] = in_polars(asked[name])
    return found


def in_duckdb(lake: Lake, table: str, sql: str, egemaps: str) -> Query:
    def connect() -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        if not lake.is_local:
            connection.register_filesystem(lake.fs)
        what = lake.delta(table).file_uris() if table == "utterances" else [egemaps]
        names = ", ".join(f"'{file}'" for file in what)
        connection.execute(f"CREATE VIEW {table} AS FROM read_parquet([{names}], hive_partitioning = true)")
        return connection

    def explain() -> str:
        plan = connect().execute(f"EXPLAIN ANALYZE {sql}").fetchall()[0][1]
        scanning = re.search(r"Scanning Files:\s*(\d+/\d+)", plan)
        read = re.search(r"Total Files Read:\s*(\d+)", plan)
        return f"files {scanning[1] if scanning else read[1] if read else '?'}"

    return Query(lambda: connect().sql(sql).to_arrow_table(), explain)


def in_polars(frame: Callable[[], pl.LazyFrame]) -> Query:
    def explain() -> str:
        plan = frame().explain()
        more = re.search(r"(\d+) other sources", plan)
        n = plan.count(".parquet") + (int(more[1]) if more else 0)
        columns = re.search(r"PROJECT (\d+|\*)/(\d+) COLUMNS", plan)
        return f"files {n}, columns {columns[1]}/{columns[2]}" if columns else f"files {n}"

    return Query(lambda: frame().collect(), explain)


def utterances(lake: Lake) -> pl.LazyFrame:
    return lake.scan("utterances")


def parquet(lake: Lake, files_: str) -> pl.LazyFrame:
    return pl.scan_parquet(files_, storage_options=lake.storage_options or None, hive_partitioning=True)


def timed(query: Callable[[], object]) -> str:
    """The quickest of three, in milliseconds."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        query()
        seconds.append(time.perf_counter() - started)
    return f"{min(seconds) * 1e3:,.0f}"


def evidence(query: Query) -> str:
    return query.explain()


if __name__ == "__main__":
    main()
