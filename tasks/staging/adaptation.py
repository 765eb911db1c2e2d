"""Files of the speaker adaptation: sums and offsets by speaker, logits and posteriors by utterance.

They are handed over through the lake, not the scheduler.
"""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor

from data_contracts.schema.tables import UTTERANCE_KEY
from models.emotion.speaker_adaptation import Sums
from tasks.run import staging_paths as paths
from tasks.run.context import Run

_COLUMNS = ("weight", "features", "posteriors")


def write_sums(run: Run, date: dt.date, shard: str, sums: Sums) -> int:
    """Write a shard's sums in place of those of the pass before. Returns the number of speakers."""
    columns = {name: getattr(sums, name) for name in _COLUMNS}
    non_empty = {name: values.numpy() for name, values in columns.items() if values.numel()}
    table = pl.DataFrame({"speaker_id": list(sums.speakers), **non_empty})
    run.lake.write_parquet(paths.speaker_sums(run.id, date, shard), table.to_arrow())
    return len(table)


def read_sums(run: Run, date: dt.date, shards: Sequence[str]) -> Sums:
    """Return the sums of all shards, merged in the order of their names."""
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
    """Write (n_speakers, n_features) offsets to subtract from each speaker's utterances."""
    table = pl.DataFrame({"speaker_id": list(speakers), "offset": np.ascontiguousarray(offsets.float().numpy())})
    run.lake.write_parquet(paths.speaker_offsets(run.id, date), table.to_arrow())


def read_offsets(run: Run, date: dt.date, rows: pl.DataFrame) -> Tensor:
    """Return (n, n_features) offsets to subtract from each row, by its `speaker_id`."""
    offsets = pl.DataFrame(run.lake.read_parquet(paths.speaker_offsets(run.id, date)))
    own = rows.select("speaker_id").join(offsets, on="speaker_id", how="left", maintain_order="left")["offset"]
    return torch.from_numpy(np.array(own.to_numpy(), np.float32))


def write_logits(run: Run, date: dt.date, shard: str, rows: pl.DataFrame, logits: Tensor) -> int:
    """Write the logits (n, n_classes) of a shard's rows. Returns their number."""
    table = rows.select(*UTTERANCE_KEY, "speaker_id", "seconds", logits=pl.Series(_array(logits)))
    run.lake.write_parquet(paths.logits(run.id, date, shard), table.to_arrow())
    return len(table)


def read_logits(run: Run, date: dt.date, shards: Sequence[str]) -> tuple[pl.DataFrame, Tensor]:
    """Return the rows (key, speaker_id, seconds) of all shards, sorted by key, and their logits."""
    parts = [pl.DataFrame(run.lake.read_parquet(paths.logits(run.id, date, shard))) for shard in sorted(shards)]
    table = pl.concat(parts).sort(UTTERANCE_KEY)
    return table.drop("logits"), torch.from_numpy(np.array(table["logits"].to_numpy()))


def write_posteriors(run: Run, date: dt.date, rows: pl.DataFrame, posteriors: Tensor) -> None:
    """Write the posteriors (n, n_classes) of a date's rows."""
    table = rows.select(*UTTERANCE_KEY, posteriors=pl.Series(_array(posteriors)))
    run.lake.write_parquet(paths.posteriors(run.id, date), table.to_arrow())


def read_posteriors(run: Run, date: dt.date, rows: pl.DataFrame) -> Tensor:
    """Return the posteriors (n, n_classes) of some of a date's rows, in their order."""
    table = pl.DataFrame(run.lake.read_parquet(paths.posteriors(run.id, date)))
    own = rows.select(UTTERANCE_KEY).join(table, on=UTTERANCE_KEY, how="left", maintain_order="left")["posteriors"]
    return torch.from_numpy(np.array(own.to_numpy(), np.float64))


def _array(values: Tensor) -> np.ndarray:
    return np.ascontiguousarray(values.numpy())
