"""`undertone query`: pushed-down filters, locally and over S3; every output format and type; earlier states."""

import datetime as dt
import json
import re
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from helpers.faulty_s3 import Fault
from helpers.lakes import make_lake
from helpers.small_lake import publish_night, utterance, write_segments
from polars.testing import assert_frame_equal
from rich.console import Console
from typer.testing import CliRunner

import flows.terminal.output
from data_contracts import lake as lakes
from data_contracts.errors import CredentialsError, LakeError, TransientError, UsageError
from data_contracts.lake import Lake
from data_contracts.object_store.retry import RetryPolicy
from flows.analytics.sql import connect, query, stream_query
from flows.cli.main import app
from flows.terminal.output import print_rows
from flows.workers.embedded_s3 import upload

DAYS = [dt.date(2026, 11, day) for day in (19, 20, 21)]
RUNS = [f"2026112{night}T030000Z-00000{night}" for night in range(3)]
SAID = 2_000  # a night


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Three nights, a file each; the last was scored with one emotion more."""
    made = make_lake(tmp_path_factory.mktemp("query"))
    for run_id, day in zip(RUNS, DAYS, strict=True):
        night = [utterance(f"{day.day}", day, place, start_s=2.0 * place) for place in range(SAID)]
        publish_night(made, run_id, night)
        for shard in (f"{day.day}a", f"{day.day}b"):
            write_segments(made, day, shard)
    return made


@pytest.fixture
def s3_lake(lake, s3, faulty) -> Lake:
    """The same over S3, its requests counted (`faulty.log`)."""
    upload(Path(lake.uri), s3, "lake/")
    return lakes.open(f"s3://{s3}/lake")


def _plan(lake: Lake, sql: str) -> str:
    """DuckDB's plan on one line."""
    with connect(lake, sql) as connection:
        ((_, plan),) = connection.sql(f"EXPLAIN (ANALYZE) {sql}").fetchall()
    return re.sub(r"[\s│]+", " ", plan)


ONE_DAY = "SELECT sum(start_s) AS s FROM utterances WHERE date = '2026-11-20' AND segment < 10"


def test_a_filter_opens_the_files_of_its_date_alone_and_reads_what_is_asked(lake):
    plan = _plan(lake, ONE_DAY)
    assert "Scanning Files: 1/3" in plan
    assert "segment<10" in plan.replace(" ", ""), "the filter is in the scan"
    (columns,) = re.findall(r"READ_PARQUET Projections: ([\w, ]+) Filters", plan)
    assert set(columns.split(", ")) <= {"segment", "start_s", "filename"}, "two columns of twenty"
    plan = _plan(lake, "SELECT count(*) FROM segments WHERE date BETWEEN '2026-11-20' AND '2026-11-21'")
    assert "Scanning Files: 4/6" in plan
    assert query(lake, ONE_DAY)["s"].to_pylist() == [90.0]


def test_row_groups_that_cannot_match_are_left(lake):
    path = lake.uri_of("features", "segments", "version=v1", "date=2026-11-25", "aa.parquet")
    table = pq.read_table(
        lake.uri_of("features", "segments", "version=v1", "date=2026-11-20", "20a.parquet"), partitioning=None
    )
    many = pa.concat_tables([table] * 400).set_column(3, "start_s", pa.array([float(row) for row in range(1200)]))
    Path(path).parent.mkdir()
    pq.write_table(many, path, row_group_size=100)
    asked_for = "SELECT end_s FROM segments WHERE date = '2026-11-25' AND start_s BETWEEN 250 AND 260"
    try:
        assert "Row Groups Scanned: 1 / 12" in _plan(lake, asked_for)
        assert query(lake, asked_for).num_rows == 11
    finally:
        Path(path).unlink()
        Path(path).parent.rmdir()


def test_over_s3_nothing_else_is_asked_for(s3_lake, lake, faulty):
    assert query(s3_lake, ONE_DAY).equals(query(lake, ONE_DAY))
    data = [target for target, _ in faulty.log if target.endswith(".parquet") and not target.startswith("PUT")]
    assert data
    assert all("GET" in target and "date%3D2026-11-20" in target for target in data), data
    assert len(data) <= 3, "its end, and what is asked for"


def test_two_lines_of_python_and_sql_say_the_same_locally_and_on_s3(s3_lake, lake):
    for name in ("utterances", "segments", "embeddings", "runs"):
        found = [frame.collect() for frame in (lake.scan(name), s3_lake.scan(name))]
        key = [column for column in ("run_id", "recording_id", "segment") if column in found[0].columns]
        left, right = (frame.sort(key) for frame in found)
        assert_frame_equal(left, right)
        sql = f"SELECT * FROM {name} ORDER BY {', '.join(key)}"
        for place in (lake, s3_lake):
            answer = pl.DataFrame(query(place, sql))
            assert_frame_equal(answer.cast(dict(left.schema)), left, check_column_order=False)
    assert s3_lake.scan("utterances", as_of=RUNS[0]).collect().height == SAID
    assert query(s3_lake, "FROM utterances", as_of=RUNS[0]).num_rows == SAID


def test_a_store_in_trouble_is_not_called_wrong_usage(s3_lake, faulty):
    """DuckDB keeps only the traceback, as text, of what a file system raises."""
    lake = lakes.open(s3_lake.uri, RetryPolicy(total_s=0.5, timeout_s=0.5))
    for fault, kind, words in (
        (Fault("internal_error", on="GET .*parquet"), TransientError, "in vain: run again"),
        (Fault("expired", on="GET .*parquet"), CredentialsError, "renew them"),
        (Fault("delete", on="GET .*parquet"), LakeError, "was packed or removed while it was read: ask again"),
    ):
        faulty.do(fault)
        with pytest.raises(kind, match=words):
            query(lake, "SELECT sum(start_s) FROM segments")


def test_as_of_on_the_command_line(lake):
    def query_as_of(when: str, sql: str = "SELECT count(*) AS n FROM utterances"):
        return CliRunner().invoke(app, ["query", sql, "--lake", lake.uri, "--as-of", when, "--format", "csv"])

    assert [query_as_of(when).stdout.split()[1] for when in (RUNS[0], "1", RUNS[2])] == ["2000", "4000", "6000"]
    assert query_as_of(RUNS[0], "SELECT count(*) FROM utterances u, runs r").stdout.split()[1] == "2000"
    answer = query_as_of("1", "SELECT count(*) FROM utterances u, runs r")
    assert isinstance(answer.exception, UsageError)
    assert "is of one table; found runs, utterances" in str(answer.exception)


def test_files_written_without_a_column_are_read_beside_those_with_it(tmp_path):
    """A model with more classes adds a column to the table; DuckDB is not to open every file to find that out."""
    lake = make_lake(tmp_path)
    place = lake.uri_of("analytics", "utterances")
    old, new = pa.table({"date": [DAYS[0]], "score_calm": [0.5]}), pa.table({"date": [DAYS[1]], "score_fear": [0.25]})
    for table in (old, new):
        write_deltalake(place, table, mode="append", schema_mode="merge", partition_by=["date"])
    sql = "SELECT date, score_calm, score_fear FROM utterances ORDER BY date"
    assert [tuple(row.values()) for row in query(lake, sql).to_pylist()] == [
        (DAYS[0], 0.5, None),
        (DAYS[1], None, 0.25),
    ]
    assert "Scanning Files: 1/2" in _plan(lake, "SELECT score_fear FROM utterances WHERE date = '2026-11-20'")


EVERYTHING = """SELECT * FROM (VALUES
    (1, 1::HUGEINT, 1.50::DECIMAL(9, 2), 'a,"b"', [1.5::FLOAT, NULL], {'x': [1, 2]}, MAP {'k': 1}, INTERVAL 2 DAY,
     'b'::BLOB, TIMESTAMPTZ '2026-11-21 03:00:00+02', DATE '2026-11-21', TIME '10:00', 'nan'::DOUBLE, true,
     [[1], NULL]),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
) t(i, h, d, s, l, st, m, iv, b, tz, day, tm, nan, flag, deep)"""


def _output_text(lake: Lake, sql: str, style, path: Path) -> str:
    with stream_query(lake, sql) as answer:
        print_rows(Console(), answer, style=style, output=path)
    return "" if style == "parquet" else path.read_text()


def test_every_type_in_every_format(lake, tmp_path):
    first, nothing = json.loads(_output_text(lake, EVERYTHING, "json", tmp_path / "a.json"))
    assert set(nothing.values()) == {None}
    assert (first["i"], first["h"], first["d"], first["l"], first["nan"]) == (1, 1, 1.5, [1.5, None], None)
    assert (first["st"], first["m"], first["deep"], first["flag"]) == ({"x": [1, 2]}, {"k": 1}, [[1], None], True)
    assert (first["tz"], first["day"], first["iv"]) == ("2026-11-21T01:00:00+00:00", "2026-11-21", "2 days")
    lines = _output_text(lake, EVERYTHING, "csv", tmp_path / "a.csv").splitlines()
    assert lines[1].startswith(
        '1,1,1.50,"a,""b""","[1.5, null]","{""x"": [1, 2]}","{""k"": 1}",2 days,b,2026-11-21T01:00'
    )
    assert lines[2] == "," * 14
    _output_text(lake, EVERYTHING, "parquet", tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet")["tz"].to_pylist()[0] == dt.datetime(2026, 11, 21, 1, tzinfo=dt.UTC)
    halves = "SELECT embedding FROM embeddings LIMIT 1"
    assert json.loads(_output_text(lake, halves, "json", tmp_path / "b.json")) == [{"embedding": [0.5] * 4}]


@pytest.mark.parametrize("style", ["csv", "json", "parquet"])
def test_a_huge_answer_is_never_held_whole(lake, tmp_path, style, monkeypatch):
    held = []
    frames = flows.terminal.output._frames
    monkeypatch.setattr("flows.analytics.sql._BATCH_ROWS", 1_000)
    monkeypatch.setattr(
        flows.terminal.output, "_frames", lambda batches: (held.append(len(f)) or f for f in frames(batches))
    )
    path = tmp_path / "out"
    said = _output_text(lake, "SELECT range AS n FROM range(20_000)", style, path)
    if style == "parquet":
        assert pq.ParquetFile(path).num_row_groups > 5
    else:
        assert max(held) <= 2_048, "DuckDB's vectors"
        assert said.count("19999") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_no_rows_still_have_columns(lake, tmp_path):
    nobody = "SELECT recording_id, channel FROM utterances WHERE segment < 0"
    assert _output_text(lake, nobody, "csv", tmp_path / "a") == "recording_id,channel\n"
    assert _output_text(lake, nobody, "json", tmp_path / "b") == "[]\n"
    _output_text(lake, nobody, "parquet", tmp_path / "c")
    assert pq.read_schema(tmp_path / "c").names == ["recording_id", "channel"]


def test_a_table_for_eyes_says_how_much_it_leaves_out(lake):
    answer = CliRunner().invoke(app, ["query", "FROM utterances", "--lake", lake.uri])
    assert "200 of 6,000 rows" in answer.stdout


def test_what_goes_wrong_on_the_way_leaves_no_file(lake, tmp_path):
    with pytest.raises(UsageError, match="Conversion Error"):
        _output_text(lake, "SELECT CAST(range || 'x' AS INT) FROM range(9)", "csv", tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())
