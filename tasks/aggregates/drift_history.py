"""Histories of the drift measures by date, gathered from the daily tables."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from data_contracts.schema.tables import EMBEDDING
from models.drift.distance import Method, Sample, deciles

_COUNTS = ("n_recordings", "n_ok", "n_rejected", "n_utterances", "n_abstained")


@dataclass(frozen=True)
class History:
    """One measure with a row of `values` a date; the rows add up over dates (see `Sample`)."""

    measure: str
    method: Method
    dates: np.ndarray  # (n,) datetime64[D], each once
    values: np.ndarray  # (n, width)
    n_recordings: np.ndarray  # (n,)
    n_utterances: np.ndarray  # (n,)
    of_recordings: bool = False  # the values count recordings, not utterances
    in_order: bool = False  # the columns are buckets, in rising order

    def samples(self, date: dt.date, days: int) -> tuple[Sample, Sample] | None:
        """Return the samples of the date and of the `days` before it; None where the date holds nothing."""
        gap = (np.datetime64(date) - self.dates).astype(int)
        if not (gap == 0).any():
            return None
        day, before = self._sample(gap == 0), self._sample((gap > 0) & (gap <= days))
        if self.in_order and before.n_days:
            bins = deciles(before.values)
            day, before = day.merge_bins(bins), before.merge_bins(bins)
        return day, before

    def _sample(self, rows: np.ndarray) -> Sample:
        sums = (array[rows].sum(axis=0) for array in (self.values, self.n_recordings, self.n_utterances))
        values, n_recordings, n_utterances = sums
        return Sample(values, int(rows.sum()), int(n_recordings), int(n_utterances))


def histories(tables: Mapping[str, pl.DataFrame]) -> Iterator[History]:
    """Yield the histories in emotion_daily, quality_daily and feature_daily; a feature has one a feature version."""
    quality = tables["quality_daily"].group_by("date").agg(pl.col(_COUNTS).sum()).sort("date")
    with_utterances = quality.filter(pl.col("n_utterances") > 0)
    yield from _class_mix(tables["emotion_daily"], quality)
    yield _shares("abstained", with_utterances, ["n_abstained", "n_utterances"], "n_ok")
    yield _shares("rejected", quality, ["n_rejected", "n_recordings"], "n_recordings", of_recordings=True)
    features = tables["feature_daily"].sort("date").partition_by("feature_version", "feature", as_dict=True)
    for (_, feature), rows in sorted(features.items()):
        yield _embeddings(rows) if feature == EMBEDDING else _feature(str(feature), rows)


def _class_mix(emotions: pl.DataFrame, quality: pl.DataFrame) -> Iterator[History]:
    if emotions.is_empty():
        return
    mix = emotions.pivot("emotion", index="date", values="n_utterances", aggregate_function="sum").fill_null(0)
    rows = mix.join(quality.select("date", "n_ok"), on="date").sort("date")
    counts = rows.drop("date", "n_ok").to_numpy()
    yield History("class_mix", "psi", _dates(rows), counts, rows["n_ok"].to_numpy(), counts.sum(axis=1))


def _shares(name: str, rows: pl.DataFrame, columns: list[str], units: str, *, of_recordings: bool = False) -> History:
    values, n = rows.select(columns).to_numpy(), rows[units].to_numpy()
    return History(name, "share", _dates(rows), values, n, rows["n_utterances"].to_numpy(), of_recordings)


def _embeddings(rows: pl.DataFrame) -> History:
    return History(EMBEDDING, "cosine", _dates(rows), np.stack(rows["total"].to_list()), *_sizes(rows))


def _feature(name: str, rows: pl.DataFrame) -> History:
    buckets, counts = (rows[column].explode().to_numpy() for column in ("buckets", "counts"))
    used, column = np.unique(buckets, return_inverse=True)
    values = np.zeros((len(rows), len(used)), np.int64)
    values[np.repeat(np.arange(len(rows)), rows["buckets"].list.len().to_numpy()), column] = counts
    return History(name, "psi", _dates(rows), values, *_sizes(rows), in_order=True)


def _sizes(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return rows["n_recordings"].to_numpy(), rows["n_utterances"].to_numpy()


def _dates(rows: pl.DataFrame) -> np.ndarray:
    return rows["date"].to_numpy().astype("datetime64[D]")
