"""Drift in a month of nights of which one differs: it is reported, and nothing else."""

import datetime as dt

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from helpers.runs import make_run
from polars.testing import assert_frame_equal

from data_contracts.expectations.suites import TABLES_WITHOUT_SUITE
from data_contracts.lake import Lake
from data_contracts.schema import feature_sets
from data_contracts.schema import tables as table_schemas
from data_contracts.schema.tables import DAILY_TABLES, EMBEDDING, RECORDINGS, TABLE_KEYS, utterances_schema
from features.dsp.gemaps import EGEMAPS_NAMES
from features.store import shard_files
from tasks.aggregates import feature_daily
from tasks.aggregates.daily import daily_tables
from tasks.aggregates.drift import N_MEASURES, drift_message
from tasks.aggregates.reconciliation import count_broken_keys
from tasks.publication.commit import Change, commit

FIRST = dt.date(2026, 10, 1)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(30)]
N_RECORDINGS, N_EACH, DIM = 60, 5, 16
LOUD = [name for name in EGEMAPS_NAMES if name.startswith(("loudness_sma3_percentile", "equivalentSoundLevel"))]
SCHEMA = utterances_schema(("anger", "neutral"))


def _night(lake, date, *, louder=0.0, angry=0.3, rejected=6, version="v1"):
    """The recordings and utterances of a date, with features in two shards of the store."""
    random = np.random.default_rng(date.toordinal())
    ids = [f"{date:%d}{n:030x}" for n in range(N_RECORDINGS)]
    recordings = _filled(
        RECORDINGS,
        {
            "uri": [f"s3://calls/{date:%Y/%m/%d}/north/{name}.flac" for name in ids],
            "recording_id": ids,
            "date": [date] * N_RECORDINGS,
            "status": ["rejected" if n < rejected else "ok" for n in range(N_RECORDINGS)],
            "reason": ["corrupt" if n < rejected else None for n in range(N_RECORDINGS)],
        },
    )
    n = (N_RECORDINGS - rejected) * N_EACH
    anger = random.uniform(size=n) < angry
    silent = random.uniform(size=n) < 0.05
    keys = {
        "recording_id": np.repeat(ids[rejected:], N_EACH),
        "channel": np.zeros(n, np.int16),
        "segment": np.tile(np.arange(N_EACH), N_RECORDINGS - rejected).astype(np.int32),
    }
    told = {
        "emotion": [
            None if quiet else ("anger" if hot else "neutral") for hot, quiet in zip(anger, silent, strict=True)
        ],
        "emotion_reason": ["too_little_speech" if quiet else None for quiet in silent],
        "score_anger": anger * 0.8 + 0.1,
    }
    who = {"speaker_id": ["spk"] * n, "speaker_known": [False] * n}
    utterances = _filled(SCHEMA, keys | told | who | {"date": [date] * n, "feature_version": [version] * n})
    values = random.normal(np.arange(len(EGEMAPS_NAMES)) - 40, 3, (n, len(EGEMAPS_NAMES)))
    values[:, [EGEMAPS_NAMES.index(name) for name in LOUD]] += louder
    vectors = random.normal(np.linspace(-1, 1, DIM), 1, (n, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for shard, rows in {"0a": slice(0, n // 2), "0b": slice(n // 2, n)}.items():
        _store(
            lake,
            date,
            shard,
            {name: column[rows] for name, column in keys.items()},
            values[rows],
            vectors[rows],
            version,
        )
    return recordings, utterances


def _filled(schema, columns):
    """The rows with all columns of `schema`, null where not given."""
    empty = pl.DataFrame(schema.empty_table())
    return pl.concat([empty, pl.DataFrame(columns)], how="diagonal_relaxed").select(empty.columns).cast(empty.schema)


def _store(lake, date, shard, keys, values, vectors, version):
    columns = [pa.array(column) for column in keys.values()]
    now = dt.datetime.now(dt.UTC)
    same = {"etag": "e", "bytes": 1, "modified": now, "tries": 1, "read_at": now, "status": "ok"}
    rows = [same | {"uri": name, "recording_id": name} for name in np.unique(keys["recording_id"])]
    floats = [pa.array(column, pa.float32()) for column in values.T]
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float16).ravel()), DIM)
    tables = {
        "egemaps": pa.Table.from_arrays([*columns, *floats], schema=feature_sets.egemaps_schema(EGEMAPS_NAMES)),
        "embeddings": pa.Table.from_arrays([*columns, flat], schema=feature_sets.embeddings_schema(DIM)),
        "recordings": pa.Table.from_pylist(rows, schema=feature_sets.RECORDING_FEATURES),
    }
    shard_files.write_shard(lake, tables, version=version, date=date, shard=shard, configuration="test")


def _publish(lake, nights, version="v1"):
    """Publish the daily tables of `nights` (made by `_night`, by date) as a run does. Returns the staged rows."""
    recordings, utterances = (pl.concat([night[part] for night in nights.values()]) for part in (0, 1))
    days = pl.Series("date", list(nights), pl.Date)
    tables, judged = daily_tables(make_run(lake, feature_version=version), days, recordings, utterances)
    for table in DAILY_TABLES:
        dates = judged if table == "drift" else days
        schema = pl.DataFrame(getattr(table_schemas, table.upper()).empty_table()).schema
        rows = tables[table].select(pl.col(name).cast(kind) for name, kind in schema.items())
        stamp = {"undertone.run_id": f"{dates[0]}-{lake.delta(table) and lake.delta(table).version()}"}
        commit(lake, Change(table, rows.to_arrow(), dates=dates.to_list(), replace=True), stamp)
    return tables


def _month(lake, *dates, **differences):
    return {date: _night(lake, date, **differences) for date in dates}


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    """28 days at once, a 29th that is louder, angrier and worse, a 30th like the first. Read only."""
    lake = Lake(str(tmp_path_factory.mktemp("month") / "lake"))
    _publish(lake, _month(lake, *DAYS[:28]))
    _publish(lake, _month(lake, DAYS[28], louder=12.0, angry=0.8, rejected=24))
    _publish(lake, _month(lake, DAYS[29]))
    return lake


def _drift(lake):
    return lake.scan("drift").sort("date", "measure").collect()


def test_only_shifted_measures_are_over_their_threshold(month):
    over = _drift(month).filter("over")
    assert set(over["date"]) == {DAYS[28]}
    assert set(over["measure"]) == {*LOUD, "class_mix", "rejected"}


def test_the_message_is_about_touched_dates_only(month):
    rows = _drift(month)
    told = drift_message(rows, DAYS[28:])
    assert told.count(" on 2026-10-29 (psi ") == 5
    assert told.endswith(f", and {len(LOUD) + 2 - 5} more")
    assert drift_message(rows.filter(pl.col("measure") == "rejected"), DAYS).startswith(
        "rejected on 2026-10-29 (share 0.3 > 0."
    )
    assert drift_message(rows, DAYS[:28]) is None


def test_null_and_duplicate_keys_are_counted():
    tables = {
        table: pl.DataFrame(getattr(table_schemas, table.upper()).empty_table()) for table in TABLES_WITHOUT_SUITE
    }
    assert count_broken_keys(tables) == 0
    rows = [{"date": DAYS[0], "measure": name} for name in ("a", "b", "b", None)]
    tables["drift"] = pl.DataFrame(rows, schema=tables["drift"].schema)
    assert count_broken_keys(tables) == 3


def test_every_measure_has_a_row_a_day_and_the_first_week_no_verdict(month):
    rows = _drift(month)
    assert rows.group_by("date").len()["len"].to_list() == [N_MEASURES] * 30
    said = rows.with_columns(said=pl.col("over").is_not_null()).group_by("date").agg(pl.col("said").mean()).sort("date")
    assert said["said"].to_list() == [0.0] * 7 + [1.0] * 23
    assert rows.filter(pl.col("over").is_null())["value"].null_count() == 7 * N_MEASURES
    last = rows.filter(pl.col("date") == DAYS[29], pl.col("measure") == "rejected").row(0, named=True)
    assert (last["n"], last["n_reference"]) == (N_RECORDINGS, 28 * N_RECORDINGS)


def test_feature_daily_matches_the_shards(month):
    """Against Polars over the store: counts, the median to the histogram's accuracy, the sum of the embeddings."""
    date, name = DAYS[3], EGEMAPS_NAMES[5]
    files = month.uri_of(*shard_files.folder("egemaps", "v1", date).split("/"), "*.parquet")
    values = pl.read_parquet(files)[name]
    rows = month.scan("feature_daily").filter(pl.col("date") == date).collect()
    (row,) = rows.filter(pl.col("feature") == name).iter_rows(named=True)
    assert (row["n_utterances"], row["n_recordings"], sum(row["counts"])) == (
        len(values),
        N_RECORDINGS - 6,
        len(values),
    )
    middle = row["buckets"][int(np.searchsorted(np.cumsum(row["counts"]), len(values) / 2))]
    (exact,) = feature_daily.histogram.buckets(np.array([values.sort()[len(values) // 2 - 1]]))
    assert middle == exact
    (total,) = rows.filter(pl.col("feature") == EMBEDDING)["total"]
    vectors = pl.read_parquet(files.replace("egemaps", "embeddings"))["embedding"].to_numpy()
    assert total.to_numpy() == pytest.approx(vectors.sum(axis=0, dtype=np.float64))


def test_a_night_reads_features_of_its_own_date_only(lake, monkeypatch):
    read = []
    _publish(lake, _month(lake, *DAYS[:9]))
    before = {table: lake.scan(table).collect() for table in DAILY_TABLES}
    files = set(lake.delta("feature_daily").file_uris())
    monkeypatch.setattr(
        feature_daily.shard_files,
        "read",
        lambda *where, read_=shard_files.read: (read.append(where[3]), read_(*where))[1],
    )
    _publish(lake, _month(lake, DAYS[9], louder=12.0))
    assert read == [DAYS[9]] * 4, "two shards, features and embeddings of each"
    assert files < set(lake.delta("feature_daily").file_uris())
    for table in DAILY_TABLES:
        rows = lake.scan(table).collect()
        assert DAYS[9] in rows["date"]
        key = list(TABLE_KEYS[table])
        assert_frame_equal(rows.filter(pl.col("date") < DAYS[9]).sort(key), before[table].sort(key), check_exact=True)


def test_shards_of_a_date_are_read_a_few_at_a_time(monkeypatch):
    own = pl.DataFrame({"recording_id": [f"{n}" for n in range(12)], "channel": 0, "segment": 0})
    listed = own.select("recording_id", shard="recording_id", status=pl.lit("ok"))
    read, waiting = [], []
    monkeypatch.setattr(feature_daily.shard_files, "rows", lambda *_: listed)
    monkeypatch.setattr(feature_daily, "_read_shard", lambda run, date, shard, rows: read.append(shard) or rows)
    for n_taken, _ in enumerate(feature_daily._iter_shards(make_run(None), DAYS[0], own)):
        waiting.append(len(read) - n_taken)
    assert sorted(read) == sorted(listed["shard"])
    assert max(waiting) <= feature_daily._N_PARALLEL


def test_the_order_of_publication_does_not_matter(tmp_path):
    """A late day is a reference for the days after it: they are judged again."""
    nights = {}
    for name, batches in {
        "in-order": [DAYS[:8], DAYS[8:9], DAYS[9:10]],
        "late": [DAYS[:8], DAYS[9:10], DAYS[8:9]],
    }.items():
        lake = Lake(str(tmp_path / name))
        for batch in batches:
            _publish(lake, _month(lake, *batch))
        nights[name] = _drift(lake)
        _publish(lake, _month(lake, *batches[-1]))
        assert_frame_equal(_drift(lake), nights[name])
    assert nights["in-order"]["over"].drop_nulls().len() == 3 * N_MEASURES
    assert_frame_equal(nights["late"], nights["in-order"])


def test_features_of_another_version_are_not_compared(lake):
    """Features and voices get no verdict until there are days to compare with; emotions and rejects do."""
    _publish(lake, _month(lake, *DAYS[:8]))
    _publish(lake, _month(lake, DAYS[8], louder=12.0, version="v2"), version="v2")
    rows = _drift(lake).filter(pl.col("date") == DAYS[8])
    assert set(rows.filter(pl.col("over").is_not_null())["measure"]) == {"class_mix", "abstained", "rejected"}
    assert not rows["over"].any()
    assert set(rows.filter(pl.col("over").is_null())["n_reference"]) == {0}


def test_a_lake_of_a_version_without_feature_daily_gives_no_verdict(lake):
    old = [
        {"date": day, "emotion": "anger", "n_utterances": 900, "speech_s": 1.0, "mean_score": 0.5} for day in DAYS[:9]
    ]
    write_deltalake(lake.uri_of("analytics", "emotion_daily"), pa.Table.from_pylist(old))
    tables = _publish(lake, _month(lake, DAYS[9]))
    assert tables["drift"].height == N_MEASURES
    assert tables["drift"]["over"].null_count() == N_MEASURES


def test_a_date_without_recordings_is_judged_no_more(lake):
    _publish(lake, _month(lake, *DAYS[:2]))
    recordings, utterances = _night(lake, DAYS[0])
    _publish(lake, {DAYS[0]: (recordings.clear(), utterances.clear())})
    for table in DAILY_TABLES:
        assert set(lake.scan(table).collect()["date"]) == {DAYS[1]}
