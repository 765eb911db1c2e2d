"""Confidence intervals of means over utterances: those of one recording are not independent of each other."""

from collections.abc import Sequence

import polars as pl
from scipy.special import stdtrit

LEVEL = 0.95


def mean_by(rows: pl.DataFrame, by: Sequence[str], value: str, *, cluster: str) -> pl.DataFrame:
    """Return `by`, mean, low and high: the mean of a column and its interval, with `cluster` as the sampling unit.

    mean ± t · se with G - 1 degrees of freedom for G clusters, se² = G/(G-1) · Σ (total - n · mean)² / N²: the
    linearised variance of a ratio (Cochran, Sampling Techniques, 1977, ch. 6), which is the cluster-robust one of
    Liang and Zeger (Biometrika 73, 1986). One cluster has no interval: null.
    """
    clusters = rows.group_by(*by, cluster).agg(n=pl.len(), total=pl.col(value).sum()).sort(*by, cluster)
    mean = pl.col("total").sum() / pl.col("n").sum()
    residual = pl.col("total") - pl.col("n") * mean
    means = clusters.group_by(by).agg(
        mean=mean, n=pl.col("n").sum(), n_clusters=pl.len().cast(pl.Int64), squares=(residual**2).sum()
    )
    degrees = means["n_clusters"] - 1
    quantile = pl.Series(stdtrit(degrees.to_numpy(), (1 + LEVEL) / 2), dtype=pl.Float64)
    scale = pl.col("n_clusters") / (pl.col("n_clusters") - 1)
    half = pl.when(pl.col("n_clusters") > 1).then(quantile * (scale * pl.col("squares")).sqrt() / pl.col("n"))
    return means.select(*by, "mean", low=pl.col("mean") - half, high=pl.col("mean") + half)
