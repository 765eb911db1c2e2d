"""A lake of any size with made-up rows: Delta tables as two runs leave them, in seconds and not in nights."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from deltalake import write_deltalake

from data_contracts.lake import Lake
from data_contracts.lake.snapshot import move_pointer, newest_versions
from data_contracts.schema import tables

CLASSES = ("anger", "happiness", "neutral", "sadness")
REASONS = ("empty", "not_audio", "silent", "truncated")
MODELS = ("emotion/1+aaaaaaaa", "emotion/2+bbbbbbbb")
_A_RECORDING = 3  # utterances
_DIM = 16
_PARTS = ("utterances", "recordings")


@dataclass(frozen=True)
class Size:
    """How much there is. `files` are addresses with seconds, that the recordings are said to lie in, in turn."""

    n_utterances: int
    n_days: int
    n_speakers: int = 12
    last: dt.date = dt.date(2026, 11, 21)
    sources: Sequence[str] = ("sales", "support")
    files: Sequence[tuple[str, float]] = (("/nowhere/call.flac", 60.0),)

    @property
    def dates(self) -> list[dt.date]:
        return [self.last - dt.timedelta(days=n) for n in reversed(range(self.n_days))]

    @property
    def n_recordings(self) -> int:
        """A day."""
        return self.n_utterances // self.n_days // _A_RECORDING


def make(lake: Lake, size: Size) -> None:
    """Publishes a run of all days, and one in which another model scored the newest fortnight again."""
    days: dict[str, list[pl.DataFrame]] = {}
    utterances: list[pl.DataFrame] = []
    for number, date in enumerate(size.dates):
        random = np.random.default_rng(number)
        recordings = _recordings(size, date, random)
        spoken, rejects = _utterances(size, recordings, random), _rejects(size, date, random)
        _write(lake, "utterances", spoken)
        _write(lake, "recordings", recordings)
        for name, frame in {"rejects": rejects, **_daily(recordings, spoken, rejects, random)}.items():
            days.setdefault(name, []).append(frame)
        utterances = [*utterances, spoken][-14:]
    for name, frames in days.items():
        _write(lake, name, pl.concat(frames))
    _write(lake, "speakers", _speakers(size))
    first = newest_versions(lake)
    for spoken in utterances:
        _write(lake, "utterances", _rescored(spoken), instead_of=spoken["date"][0])
    _write(lake, "runs", _runs(size, first, newest_versions(lake)))
    move_pointer(lake, "run-12", newest_versions(lake))


def _recordings(size: Size, date: dt.date, random: np.random.Generator) -> pl.DataFrame:
    n = size.n_recordings
    which = np.arange(n) % len(size.files)
    seconds = np.array([seconds for _, seconds in size.files])[which]
    made = {
        "uri": pl.Series([size.files[i][0] for i in which]) if len(size.files) > 1 else pl.Series(_names(date, n)),
        "recording_id": _ids(date, n),
        "seconds": seconds,
        "speech_s": seconds * 0.8,
        "loudness_lufs": random.normal(-24, 3, n).astype(np.float32),
        "snr_db": random.normal(32, 6, n).astype(np.float32),
        "bandwidth_hz": random.choice([3400.0, 7800.0], n).astype(np.float32),
        "clipped_share": (random.random(n) / 1000).astype(np.float32),
        "source": pl.Series(np.array(size.sources)[np.arange(n) % len(size.sources)]),
    }
    return pl.DataFrame(made).with_columns(date=pl.lit(date), status=pl.lit("ok"), channels=pl.lit([0]))


def _names(date: dt.date, n: int) -> list[str]:
    return [f"/nowhere/{date:%Y/%m/%d}/call-{number:06}.flac" for number in range(n)]


def _ids(date: dt.date, n: int) -> list[str]:
    return [f"{date:%Y%m%d}{number:024x}" for number in range(n)]


def _utterances(size: Size, recordings: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    n = recordings.height * _A_RECORDING
    share = np.tile(np.arange(_A_RECORDING), recordings.height) / _A_RECORDING
    seconds = np.repeat(recordings["seconds"].to_numpy(), _A_RECORDING)
    scores = random.dirichlet([1.5, 2.5, 4.0, 1.0], n)
    speakers = np.minimum(random.geometric(4 / size.n_speakers, n) - 1, size.n_speakers - 1)
    abstained = random.random(n) < 0.02
    rows = pl.DataFrame(
        {
            "recording_id": recordings["recording_id"].gather(np.arange(n) // _A_RECORDING),
            "segment": np.tile(np.arange(_A_RECORDING, dtype=np.int32), recordings.height),
            "start_s": seconds * share + 0.1,
            "end_s": seconds * (share + 0.8 / _A_RECORDING),
            **{f"score_{name}": scores[:, i] for i, name in enumerate(CLASSES)},
            "emotion": pl.Series(np.array(CLASSES)[scores.argmax(axis=1)]),
            "speaker_id": pl.Series(np.array(_speaker_ids(size))[speakers]),
            "speaker_known": speakers < 2,
            "speaker_score": random.uniform(0.6, 1, n),
        }
    )
    emotion = pl.when(~pl.Series(abstained)).then("emotion")
    reason = pl.when(pl.Series(abstained)).then(pl.lit("too_little_speech"))
    date = pl.lit(recordings["date"][0])
    return rows.with_columns(emotion=emotion, emotion_reason=reason, date=date, emotion_model=pl.lit(MODELS[0]))


def _rescored(utterances: pl.DataFrame) -> pl.DataFrame:
    """By the other model, which takes every fifth utterance for something else."""
    changed = (pl.int_range(pl.len()) % 5 == 0) & pl.col("emotion").is_not_null()
    other = pl.col("emotion").replace_strict(dict(zip(CLASSES, (*CLASSES[1:], CLASSES[0]), strict=True)))
    return utterances.with_columns(
        emotion=pl.when(changed).then(other).otherwise("emotion"), emotion_model=pl.lit(MODELS[1])
    )


def _rejects(size: Size, date: dt.date, random: np.random.Generator) -> pl.DataFrame:
    n = max(1, size.n_recordings // 50)
    names = [f"/nowhere/{date:%Y/%m/%d}/bad-{number:06}.flac" for number in range(n)]
    reasons = np.array(REASONS)[random.integers(len(REASONS), size=n)]
    return pl.DataFrame({"uri": names, "etag": names, "reason": pl.Series(reasons)}).with_columns(date=pl.lit(date))


def _daily(
    recordings: pl.DataFrame, utterances: pl.DataFrame, rejects: pl.DataFrame, random: np.random.Generator
) -> dict[str, pl.DataFrame]:
    """The day's aggregates of what was made. Rejects are all of the first source."""
    kind = pl.when(pl.col("speaker_known")).then(pl.lit("enrolled")).otherwise(pl.lit("found"))
    where = recordings.select("recording_id", "source")
    spoken = utterances.join(where, on="recording_id").with_columns(speaker_kind=kind)
    told, date = spoken.drop_nulls("emotion"), pl.lit(recordings["date"][0])
    tally = {"n_utterances": pl.len().cast(pl.Int64), "speech_s": (pl.col("end_s") - pl.col("start_s")).sum()}
    score = pl.max_horizontal([f"score_{name}" for name in CLASSES]).mean()
    lost = rejects.height
    percentiles = {
        f"{name}{part}": pl.col(name).quantile(share).cast(pl.Float64)
        for name in tables.QUALITY_MEASURES
        for part, share in (("_p10", 0.1), ("", 0.5), ("_p90", 0.9))
    }
    said = spoken.group_by("source").agg(
        n_utterances=pl.len().cast(pl.Int64), n_abstained=pl.col("emotion").null_count().cast(pl.Int64)
    )
    rejected = pl.when(pl.col("source") == recordings["source"][0]).then(lost).otherwise(0).cast(pl.Int64)
    quality = (
        recordings.group_by("source")
        .agg(
            n_ok=pl.len().cast(pl.Int64),
            seconds=pl.col("seconds").sum(),
            speech_s=pl.col("speech_s").sum(),
            clipped_share=pl.col("clipped_share").mean().cast(pl.Float64),
            **percentiles,
        )
        .join(said, on="source")
        .with_columns(n_rejected=rejected)
        .with_columns(n_recordings=pl.col("n_ok") + pl.col("n_rejected"))
    )
    drift = pl.DataFrame({"measure": ["class_mix", "abstained", "embedding"], "value": random.gamma(3, 0.03, 3)})
    by_emotion = told.group_by("source", "speaker_kind", "emotion").agg(
        **tally, mean_score=score, score_low=score - 0.02, score_high=score + 0.02
    )
    made = {
        "emotion_daily": by_emotion,
        "speaker_daily": told.group_by("speaker_id", "emotion").agg(**tally),
        "quality_daily": quality,
        "rejects_daily": rejects.group_by("reason")
        .agg(n=pl.len().cast(pl.Int64))
        .with_columns(source=pl.lit(recordings["source"][0])),
        "drift": drift.with_columns(threshold=pl.lit(0.2), over=pl.col("value") > 0.2, method=pl.lit("psi")),
    }
    return {name: frame.with_columns(date=date).sort(pl.all()) for name, frame in made.items()}


def _speaker_ids(size: Size) -> list[str]:
    return [f"spk_{number:012x}" for number in range(size.n_speakers)]


def _speakers(size: Size) -> pl.DataFrame:
    random, names = np.random.default_rng(7), _speaker_ids(size)
    vectors = random.normal(size=(len(names), _DIM)) + 4 * random.normal(size=(3, _DIM))[np.arange(len(names)) % 3]
    seen = {"first_seen": pl.lit(size.dates[0]), "last_seen": pl.lit(size.last)}
    told = {"name": ["Ada", "Grace", *names[2:]], "kind": ["enrolled"] * 2 + ["found"] * (len(names) - 2)}
    speech_s = 3600.0 / np.arange(1, len(names) + 1)
    rows = pl.DataFrame({"speaker_id": names, **told, "centroid": vectors.tolist(), "speech_s": speech_s})
    return rows.with_columns(**seen, extractor=pl.lit("encoder"), sources=pl.lit([], pl.List(pl.String)))


def _runs(size: Size, first: dict[str, int], last: dict[str, int]) -> pl.DataFrame:
    """A dozen: eleven by the first model, and one by the other."""
    rows = []
    for number in range(1, 13):
        started = dt.datetime.combine(size.last - dt.timedelta(days=12 - number), dt.time(3), dt.UTC)
        left, model = (last, MODELS[1]) if number == 12 else (first, MODELS[0])
        rows.append(
            {
                "run_id": f"run-{number:02}",
                "flow": "nightly",
                "status": "done",
                "started": started,
                "finished": started + dt.timedelta(minutes=20),
                "emotion_model": model,
                "n_read": size.n_recordings,
                "n_rejected": number,
                "n_published_utterances": size.n_recordings * _A_RECORDING,
                "audio_hours": size.n_recordings / 60,
                "rtfx": 60.0 + number,
                "verdict": "warned" if number == 7 else "passed",
                "validation": f"{size.last}/validation/run=run-{number:02}/docs/index.html",
                "versions": json.dumps(left),
            }
        )
    return pl.DataFrame(rows)


def _write(lake: Lake, table: str, rows: pl.DataFrame, instead_of: dt.date | None = None) -> None:
    """Columns that are not told are null, or zero, or empty, as the table's schema wants."""
    schema = tables.utterances_schema(CLASSES) if table == "utterances" else getattr(tables, table.upper())
    told = rows.to_arrow()
    columns = [
        told[name.name].cast(name.type) if name.name in told.column_names else _nothing(name, len(told))
        for name in schema
    ]
    made = pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in schema]))
    partition = ["date"] if table in tables.PARTITIONED_TABLES else None
    how = {"mode": "append"} if instead_of is None else {"mode": "overwrite", "predicate": f"date = '{instead_of}'"}
    write_deltalake(
        lake.uri_of("analytics", table), made, partition_by=partition, storage_options=lake.storage_options, **how
    )


def _nothing(field: pa.Field, n: int) -> pa.Array:
    empty = {pa.string(): "", pa.int64(): 0, pa.int32(): 0, pa.int16(): 0, pa.float64(): 0.0, pa.bool_(): False}
    value = None if field.nullable else empty.get(field.type)
    return pa.repeat(pa.scalar(value, field.type), n)
