"""Comparison of what two lakes say, table by table."""

from collections.abc import Mapping

import polars as pl
from polars.testing import assert_frame_equal


def assert_same_tables(
    left: Mapping[str, pl.DataFrame], right: Mapping[str, pl.DataFrame], *, by: float = 1e-3
) -> None:
    """Equal but for last digits: scores and centroids come of float16 embeddings and of batches of other sizes."""
    assert left.keys() == right.keys()
    assert left["utterances"].height, "nothing was published"
    for table in left:
        assert_frame_equal(left[table], right[table], check_exact=False, abs_tol=by, rel_tol=by)
