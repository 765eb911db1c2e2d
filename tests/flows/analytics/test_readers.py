"""Reading the lake with Polars and DuckDB alone, in a process that imports nothing of ours."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys
import duckdb
import polars as pl
from deltalake import DeltaTable

lake = sys.argv[1]
found = {}
for name in ("recordings", "segments", "egemaps", "embeddings"):
    files = f"{lake}/features/{name}/**/*.parquet"
    frame = pl.scan_parquet(files, hive_partitioning=True).collect()
    rows = duckdb.sql(f"SELECT count(*), min(date), count(DISTINCT version) FROM read_parquet('{files}')").fetchall()[0]
    found[name] = [frame.height, rows[0], str(rows[1]), rows[2]]
utterances = pl.read_delta(f"{lake}/analytics/utterances")
arrow = DeltaTable(f"{lake}/analytics/utterances").to_pyarrow_dataset()
connection = duckdb.connect()
connection.register("utterances", arrow)
found["utterances"] = [utterances.height, connection.sql("SELECT count(*) FROM utterances").fetchall()[0][0]]
vector = pl.scan_parquet(f"{lake}/features/embeddings/**/*.parquet").select("embedding").head(1).collect()
found["norm"] = float(vector["embedding"].cast(pl.List(pl.Float32)).list.eval(pl.element() ** 2).list.sum()[0])
ours = {"data_contracts", "features", "models", "tasks", "flows"} & sys.modules.keys()
assert not ours, ours
print(json.dumps(found))
"""


def test_the_lake_is_plain_files(settings, tmp_path, published):
    ledger = published
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, settings["lake"]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    n_segments = ledger.extracted.n_segments
    assert found["recordings"] == [34, 34, "2026-11-19", 1]
    for name in ("segments", "egemaps", "embeddings"):
        assert found[name] == [n_segments, n_segments, "2026-11-19", 1]
    assert found["utterances"] == [ledger.n_published_utterances] * 2
    assert abs(found["norm"] - 1) < 0.01
