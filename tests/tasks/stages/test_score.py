"""Scores by passes over shards equal those of the whole date at once, for any layout of shards."""

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from deltalake import write_deltalake
from helpers.runs import make_run, model_ref

from data_contracts.errors import ModelError
from data_contracts.lake import Lake
from data_contracts.schema import feature_sets
from data_contracts.schema.tables import UTTERANCE_KEY
from features.dsp.gemaps import EGEMAPS_NAMES
from features.extraction.config import FeatureConfig
from features.store import shard_files
from models import serving
from models.emotion.dataset import FEATURE_NAMES
from models.emotion.logit_statistics import LogitStatistics
from models.emotion.model import EmotionModel, Member
from models.emotion.speaker_adaptation import NO_SPEAKER, Prior
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.stages.score import score
from tasks.staging import utterance_features
from tasks.staging.pending import PendingRecordings
from tasks.staging.shard_cache import MAX_SHARDS

DAY, CLASSES = dt.date(2026, 11, 21), ("anger", "neutral")
KEY = list(UTTERANCE_KEY)
N, WIDTH = 12, len(FEATURE_NAMES)
SPEAKERS = [*["ann", "bob", "cleo"] * 3, None, "bob", "cleo"]
SECONDS = np.linspace(1.0, 3.2, N)


@pytest.fixture
def features() -> np.ndarray:
    """(N, WIDTH) of well separated speakers; all but the last utterance with enough voice."""
    random = np.random.default_rng(0)
    values = random.normal(0, 1, (N, WIDTH)) + random.normal(0, 1, (3, WIDTH))[np.arange(N) % 3]
    values[:, EGEMAPS_NAMES.index("VoicedSegmentsPerSec")] = 2.0
    values[:, EGEMAPS_NAMES.index("MeanVoicedSegmentLengthSec")] = [0.3] * (N - 1) + [0.01]
    return values.astype(np.float32)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> EmotionModel:
    torch.manual_seed(0)
    ones = torch.ones(WIDTH)
    made = EmotionModel(
        [Member(WIDTH, 2, hidden=0)],
        linear=Member(WIDTH, 2, hidden=0),
        mean=0 * ones,
        scale=ones,
        prior=Prior(0.5 * ones, ones, 2 * ones, torch.randn(2, WIDTH)),
        feature_names=FEATURE_NAMES,
        features=FeatureConfig().fingerprints(),
        classes=CLASSES,
        statistics=LogitStatistics(*(torch.tensor(rows).double() for rows in ([[1.0], [-1.0]], [[1.0]], [[2.0]]))),
    )
    monkeypatch.setattr(serving, "emotion_model", lambda ref, _: made)
    return made


def _run(lake: Lake, emotion_prior: str = "balanced") -> Run:
    emotion = model_ref("emotion", classes=list(CLASSES), features=FeatureConfig().fingerprints())
    return make_run(lake, DAY, emotion=emotion, emotion_prior=emotion_prior)


def _keys(rows: list[int]) -> list[list]:
    return [[f"{row:032x}" for row in rows], [0] * len(rows), [0] * len(rows)]


def _store(lake: Lake, features: np.ndarray, shards: dict[str, list[int]]) -> None:
    now = dt.datetime.now(dt.UTC)
    for shard, rows in shards.items():
        values = features[rows]
        read = {"etag": "e", "bytes": 1, "modified": now, "tries": 1, "read_at": now, "status": "ok"}
        wide = np.ascontiguousarray(values[:, len(EGEMAPS_NAMES) :])
        listed = [read | {"uri": f"{row}.wav", "recording_id": f"{row:032x}"} for row in rows]
        tables = {
            "segments": pa.Table.from_arrays(
                [*map(pa.array, [*_keys(rows), np.zeros(len(rows)), SECONDS[rows], np.zeros(len(rows))])],
                names=feature_sets.SEGMENTS.names,
            ).cast(feature_sets.SEGMENTS),
            "egemaps": pa.table([*_keys(rows), *values[:, : len(EGEMAPS_NAMES)].T], names=[*KEY, *EGEMAPS_NAMES]),
            "suprasegmental": pa.table(
                [*_keys(rows), pa.FixedSizeListArray.from_arrays(wide.ravel(), wide.shape[1])],
                names=[*KEY, "suprasegmental"],
            ),
            "recordings": pa.Table.from_pylist(listed, schema=feature_sets.RECORDING_FEATURES),
        }
        small = {"channel": pl.Int16, "segment": pl.Int32}
        cast = {name: pl.DataFrame(table) for name, table in tables.items()}
        for name in ("segments", "egemaps", "suprasegmental"):
            cast[name] = cast[name].cast(small)
        stored = {name: frame.to_arrow() if name != "recordings" else tables[name] for name, frame in cast.items()}
        shard_files.write_shard(lake, stored, version="v1", date=DAY, shard=shard, configuration="")


def _scored(
    lake: Lake,
    features: np.ndarray,
    shards: dict[str, list[int]],
    *,
    pending_rows: list[int],
    emotion_prior: str = "balanced",
) -> pl.DataFrame:
    """Run the stage. Returns every pending utterance's scores, by recording."""
    run = _run(lake, emotion_prior)
    _store(lake, features, shards)
    rows = {shard: [row for row in members if row in pending_rows] for shard, members in shards.items()}
    places = [(f"{row:032x}", shard, DAY, True) for shard, members in rows.items() for row in members]
    pending = pl.DataFrame(places, schema=["recording_id", "shard", "date", "counted"], orient="row")
    lake.write_parquet(f"staging/run={run.id}/pending.parquet", pending.to_arrow())
    columns = dict(zip(KEY, _keys(pending_rows), strict=True)) | {"speaker_id": [SPEAKERS[row] for row in pending_rows]}
    identities = pl.DataFrame(columns).cast({"channel": pl.Int16, "segment": pl.Int32})
    lake.write_parquet(f"staging/run={run.id}/identities.parquet", identities.to_arrow())
    to_score = [shard for shard, members in rows.items() if members]
    n = score.fn(run, PendingRecordings(len(pending_rows), {DAY: to_score}, {}), None)
    assert n == len(pending_rows)
    found = [pl.DataFrame(lake.read_parquet(paths.scores(run.id, DAY, shard))) for shard in to_score]
    return pl.concat(found).sort("recording_id")


def _expected(
    model: EmotionModel, features: np.ndarray, rows: list[int], shares: tuple[float, ...] | None = None
) -> np.ndarray:
    speakers, seconds = [SPEAKERS[row] or NO_SPEAKER for row in rows], torch.from_numpy(SECONDS[rows])
    return model.scores(torch.from_numpy(features[rows]), speakers, seconds, shares=shares).numpy()


@pytest.mark.parametrize("layout", [[list(range(N))], [[5, 0, 11], [1, 2, 3, 4], [10, 9, 8, 7, 6]]])
def test_shares_are_estimated_over_the_date_for_any_layout_of_shards(tmp_path, features, model, layout) -> None:
    shards = {f"{index:02x}": rows for index, rows in enumerate(layout)}
    found = _scored(Lake(str(tmp_path)), features, shards, pending_rows=list(range(N)), emotion_prior="neutral=0.8")
    expected = _expected(model, features, list(range(N)), shares=(0.2, 0.8))
    scores = found.select("score_anger", "score_neutral").to_numpy()
    np.testing.assert_allclose(scores[:-1], expected[:-1], atol=1e-5)
    assert np.abs(expected - _expected(model, features, list(range(N)))).max() > 0.1


@pytest.mark.parametrize("layout", [[list(range(N))], [[5, 0, 11], [1, 2, 3, 4], [10, 9, 8, 7, 6]]])
def test_scores_do_not_depend_on_the_layout_of_shards(tmp_path, features, model, layout) -> None:
    shards = {f"{index:02x}": rows for index, rows in enumerate(layout)}
    found = _scored(Lake(str(tmp_path)), features, shards, pending_rows=list(range(N)))
    expected = _expected(model, features, list(range(N)))
    scores = found.select("score_anger", "score_neutral").to_numpy()
    np.testing.assert_allclose(scores[:-1], expected[:-1], atol=1e-5)


def test_too_little_voice_has_a_reason_and_no_scores(tmp_path, features, model) -> None:
    found = _scored(Lake(str(tmp_path)), features, {"00": list(range(N))}, pending_rows=list(range(N)))
    assert found["emotion_reason"].to_list() == [None] * (N - 1) + ["too_little_speech"]
    assert found["score_anger"].null_count() == found["score_neutral"].null_count() == 1
    assert found.tail(1)["score_anger"][0] is None


def test_late_utterances_are_adapted_with_published_ones(lake, features, model) -> None:
    published = list(range(6))
    rows = dict(zip(KEY, _keys(published), strict=True)) | {
        "speaker_id": [SPEAKERS[row] for row in published],
        "date": [DAY] * 6,
        "feature_version": ["v1"] * 6,
    }
    table = pl.DataFrame(rows).cast({"channel": pl.Int16, "segment": pl.Int32}).to_arrow()
    write_deltalake(lake.uri_of("analytics", "utterances"), table)
    found = _scored(lake, features, {"00": published, "01": list(range(6, N))}, pending_rows=list(range(6, N)))
    expected = _expected(model, features, list(range(N)))[6:-1]
    np.testing.assert_allclose(found.select("score_anger", "score_neutral").to_numpy()[:-1], expected, atol=1e-5)


def test_features_of_another_configuration_are_refused(tmp_path, model) -> None:
    run = _run(Lake(str(tmp_path)))
    other = replace(run, emotion=replace(run.emotion, metadata={**run.emotion.metadata, "features": {"egemaps": "x"}}))
    with pytest.raises(ModelError, match="was trained on the feature set egemaps x"):
        score.fn(other, PendingRecordings(0, {}, {}), None)


def test_features_of_a_shard_are_read_once(tmp_path, features, model, monkeypatch) -> None:
    """Within a process that runs every pass; older shards are dropped from its cache."""
    asked, read = [], shard_files.read
    monkeypatch.setattr(shard_files, "read", lambda *which: asked.append((which[1], which[-1])) or read(*which))
    shards = {"00": list(range(6)), "01": list(range(6, N))}
    _scored(Lake(str(tmp_path)), features, shards, pending_rows=list(range(N)))
    assert sorted(asked) == [
        (name, shard) for name in ("egemaps", "segments", "suprasegmental") for shard in sorted(shards)
    ]
    many = {f"{row:02}": [row] for row in range(N)}
    _scored(Lake(str(tmp_path / "many")), features, many, pending_rows=list(range(N)))
    assert len(utterance_features._cache) == MAX_SHARDS
