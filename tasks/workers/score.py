"""Worker functions of the scoring of a shard's utterances, one a pass."""

import datetime as dt

import numpy as np
import polars as pl
import torch
from torch import Tensor

from data_contracts.errors import ModelError
from data_contracts.rejects import UnscoredReason
from data_contracts.schema.tables import UTTERANCE_KEY
from features.dsp.gemaps import EGEMAPS_NAMES
from models import serving
from models.emotion import speaker_adaptation
from models.emotion.model import EmotionModel
from models.emotion.speaker_adaptation import Sums
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.staging import adaptation, utterance_features

MIN_VOICED_S = 0.25  # of voiced sound; less is not enough to judge


def uses_speaker_adaptation(run: Run) -> bool:
    """Return whether the model is one of ours; a foreign pyfunc takes eGeMAPS by name, and knows no speakers."""
    return "features" in run.emotion.metadata


def sum_features(run: Run, date: dt.date, shard: str) -> int:
    """Add up the features of each speaker, the first pass. Returns the number of speakers."""
    rows, standardised, _ = _load_standardised(run, date, shard, use_cache=False)
    no_posteriors = torch.zeros(len(rows), len(run.classes))
    return adaptation.write_sums(
        run, date, shard, Sums.from_utterances(*speakers_and_weights(rows), standardised, no_posteriors)
    )


def sum_posteriors(run: Run, date: dt.date, shard: str) -> int:
    """Add up the model's class posteriors of each speaker. Returns the number of speakers."""
    rows, standardised, model = _load_standardised(run, date, shard)
    posteriors = model.class_posteriors(standardised - adaptation.read_offsets(run, date, rows))
    return adaptation.write_sums(
        run, date, shard, Sums.from_utterances(*speakers_and_weights(rows), standardised[:, :0], posteriors)
    )


def write_logits(run: Run, date: dt.date, shard: str) -> int:
    """Write the logits of all utterances, adapted. Returns their number."""
    rows, standardised, model = _load_standardised(run, date, shard)
    logits = model.logits(standardised - adaptation.read_offsets(run, date, rows), adapted=True)
    return adaptation.write_logits(run, date, shard, rows, logits)


def score_one(run: Run, date: dt.date, shard: str) -> int:
    """Write the scores of the pending utterances, or the reason why there are none. The last pass."""
    rows, scores = _scores(run, date, shard)
    names = [*(f"score_{label}" for label in run.classes), *run.dimensions]
    columns = {name: pl.Series(scores[:, index]) for index, name in enumerate(names)}
    no_reason = pl.lit(None if run.classes else str(UnscoredReason.NO_CLASSES), pl.String)
    is_enough = pl.col("voiced_s") >= MIN_VOICED_S
    table = (
        rows.with_columns(**columns)
        .filter("waits")
        .select(
            *UTTERANCE_KEY,
            *(pl.when(is_enough).then(pl.col(name)).alias(name) for name in columns),
            emotion_reason=pl.when(~is_enough).then(pl.lit(str(UnscoredReason.TOO_LITTLE_SPEECH))).otherwise(no_reason),
        )
    )
    run.lake.write_parquet(paths.scores(run.id, date, shard), table.to_arrow())
    return len(table)


def _scores(run: Run, date: dt.date, shard: str) -> tuple[pl.DataFrame, np.ndarray]:
    """Scores, (n, classes and then dimensions), of a shard's utterances."""
    if "feature_set" in run.emotion.metadata:
        rows, vectors = utterance_features.load_shard(run, date, shard, use_cache=False)
        return rows, serving.pretrained_emotion_model(run.emotion, run.lake.retry_policy).scores(vectors).numpy()
    if uses_speaker_adaptation(run):
        if run.shares:
            rows, _ = utterance_features.load_shard(run, date, shard, use_cache=True)
            return rows, adaptation.read_posteriors(run, date, rows).numpy()
        rows, standardised, model = _load_standardised(run, date, shard)
        logits = model.logits(standardised - adaptation.read_offsets(run, date, rows), adapted=True)
        return rows, model.date_posteriors(logits, *speakers_and_weights(rows)).numpy()
    rows, features = utterance_features.load_shard(run, date, shard, use_cache=False)
    from models.registry import loading

    frame = pl.DataFrame(features.numpy(), schema=list(EGEMAPS_NAMES)).to_pandas()
    scores = loading.predict(run.emotion, frame)
    missing = [label for label in run.classes if label not in scores]
    if missing:
        raise ModelError(f"{run.emotion.label}: expected a column a class, found none for {', '.join(missing)}")
    return rows, np.asarray(scores[run.classes], np.float64)


def _load_standardised(
    run: Run, date: dt.date, shard: str, *, use_cache: bool = True
) -> tuple[pl.DataFrame, Tensor, EmotionModel]:
    model = serving.emotion_model(run.emotion, run.lake.retry_policy)
    rows, features = utterance_features.load_shard(run, date, shard, use_cache=use_cache)
    return rows, model.standardise(features), model


def speakers_and_weights(rows: pl.DataFrame) -> tuple[list[str], Tensor]:
    """Return the speaker_id and the weight of each utterance."""
    return rows["speaker_id"].to_list(), speaker_adaptation.utterance_weight(
        torch.from_numpy(np.array(rows["seconds"].to_numpy()))
    )
