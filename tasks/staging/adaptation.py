"""Sums and offsets by speaker on their way between the workers and the stage: through the lake, never the scheduler."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor

from models.emotion.speaker_adaptation import Sums
from tasks.run import staging_paths as paths
from tasks.run.context import Run

_COLUMNS = ("weight", "features", "posteriors")


def write_sums(run: Run, date: dt.date, shard: str, sums: Sums) -> int:
    """A shard's sums, in place of those of the pass before. Returns of how many speakers they are."""
    columns = {name: getattr(sums, name) for name in _COLUMNS}
    given = {name: values.numpy() for name, values in columns.items() if values.numel()}
    table = pl.DataFrame({"speaker_id": list(sums.speakers), **given})
    run.lake.write_parquet(paths.speaker_sums(run.id, date, shard), table.to_arrow())
    return len(table)


def read_sums(run: Run, date: dt.date, shards: Sequence[str]) -> Sums:
    """The sums of all shards, in the order of their names."""
    parts = []
    for shard in sorted(shards):
        table = pl.DataFrame(run.lake.read_parquet(paths.speaker_sums(run.id, date, shard)))
        values = {
            name: torch.from_numpy(np.array(table[name].to_numpy(), np.float64))
            if name in table
            else torch.zeros(len(table), 0, dtype=torch.float64)
            for name in _COLUMNS
        }
        parts.append(Sums(tuple(table["speaker_id"].to_list()), **values))
    return Sums.merge(parts)


def write_offsets(run: Run, date: dt.date, speakers: Sequence[str], offsets: Tensor) -> None:
    """(n_speakers, n_features) what to take from each speaker's utterances."""
    table = pl.DataFrame({"speaker_id": list(speakers), "offset": np.ascontiguousarray(offsets.float().numpy())})
    run.lake.write_parquet(paths.speaker_offsets(run.id, date), table.to_arrow())


def read_offsets(run: Run, date: dt.date, rows: pl.DataFrame) -> Tensor:
    """(n, n_features) what to take from each row, by its `speaker_id`."""
    known = pl.DataFrame(run.lake.read_parquet(paths.speaker_offsets(run.id, date)))
    own = rows.select("speaker_id").join(known, on="speaker_id", how="left", maintain_order="left")["offset"]
    return torch.from_numpy(np.array(own.to_numpy(), np.float32))
