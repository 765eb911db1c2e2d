"""Stage 5: the emotion model over the stored features; the audio is not touched."""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from data_contracts.errors import ModelError
from features import store
from features.gemaps import EGEMAPS_NAMES
from models import registry
from tasks.identify import KEY
from tasks.run import Run
from tasks.scatter import scatter
from tasks.select import Pending, pending_path
from tasks.stage import stage


@stage
def score(run: Run, waiting: Pending, client: Any) -> int:
    """Scores every utterance that waits, a future a shard. Returns how many."""
    expected = run.emotion.metadata.get("egemaps")
    if expected and expected != run.config.egemaps.fingerprint():
        raise ModelError(
            f"{run.emotion.label} was trained on eGeMAPS {expected}, the store holds "
            f"{run.config.egemaps.fingerprint()}; train and promote a model for these, or go back to that version"
        )
    items = [(run, date, shard) for date, shards in waiting.shards.items() for shard in shards]
    return sum(scatter(client, score_one, items, tries=run.shard_tries))


def score_one(run: Run, date: dt.date, shard: str) -> int:
    """What a worker does for one shard: read the eGeMAPS, ask the model, write the scores."""
    here = (pl.col("date") == date) & (pl.col("shard") == shard) & pl.col("counted")
    waiting = pl.DataFrame(run.lake.read_parquet(pending_path(run))).filter(here).select("recording_id")
    rows = pl.DataFrame(store.read(run.lake, "egemaps", run.feature_version, date, shard))
    rows = rows.join(waiting, on="recording_id", how="semi")
    scores = registry.predict(run.emotion, rows.select(EGEMAPS_NAMES).to_pandas())
    missing = [label for label in run.classes if label not in scores]
    if missing:
        raise ModelError(f"{run.emotion.label}: expected a column a class, found none for {', '.join(missing)}")
    columns = {f"score_{label}": pl.Series(np.asarray(scores[label], np.float64)) for label in run.classes}
    run.lake.write_parquet(scores_path(run, date, shard), rows.select(KEY).with_columns(**columns).to_arrow())
    return len(rows)


def scores_path(run: Run, date: dt.date, shard: str) -> str:
    return f"{run.staging}/scores/date={date.isoformat()}/{shard}.parquet"
