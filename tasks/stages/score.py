"""Stage 5: emotion scores from stored features, adapted to the speakers of stage 4; no audio is read.

A date is a corpus of its own: the offsets common to its utterances, and those of each speaker, are estimated from all
of the date's stored features in a few passes over its shards, of which only sums by speaker come back; then the shares
of the emotions, from the logits of all its utterances. So a nightly run and a backfill agree about a date, and late
recordings are adapted together with those that were there before.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from models import serving
from models.emotion import speaker_adaptation
from models.registry.compatibility import check_features
from tasks.compute.mapping import map_on_cluster
from tasks.run.context import Run
from tasks.stages.stage import stage
from tasks.staging import adaptation, utterance_features
from tasks.staging.pending import PendingRecordings
from tasks.workers.score import (
    score_one,
    speakers_and_weights,
    sum_features,
    sum_posteriors,
    uses_speaker_adaptation,
    write_logits,
)

Shards = Mapping[dt.date, Sequence[str]]


@stage
def score(run: Run, pending: PendingRecordings, client: Any) -> int:
    """Score every pending utterance, a future a shard and pass. Returns their number."""
    check_features(run.emotion, run.config, extractor=run.speaker.metadata.get("extractor_digest"))
    all_shards = {date: utterance_features.write_index(run, date) for date in pending.shards}
    if uses_speaker_adaptation(run):
        _adapt(run, all_shards, client)
    if run.shares:
        _estimate_shares(run, all_shards, client)
    return sum(_map_shards(pending.shards, score_one, run, client))


def _adapt(run: Run, shards: Shards, client: Any) -> None:
    """Estimate the offsets of each date and of its speakers, and write them to staging for the workers."""
    prior = serving.emotion_model(run.emotion, run.lake.retry_policy).prior
    _map_shards(shards, sum_features, run, client)
    sums = {date: adaptation.read_sums(run, date, names) for date, names in shards.items()}
    for date, own in sums.items():
        corpus = speaker_adaptation.corpus_offset(own, prior)
        adaptation.write_offsets(run, date, own.speakers, corpus.expand(len(own.speakers), -1))
    for _ in range(speaker_adaptation.ROUNDS):
        _map_shards(shards, sum_posteriors, run, client)
        for date, own in sums.items():
            posteriors = adaptation.read_sums(run, date, shards[date]).posteriors
            offsets = speaker_adaptation.speaker_offsets(replace(own, posteriors=posteriors), prior)
            adaptation.write_offsets(run, date, own.speakers, offsets)


def _estimate_shares(run: Run, shards: Shards, client: Any) -> None:
    """Write the posteriors of each date's utterances, by the shares of the classes that the date and its speakers show.

    A date's logits are read together: a number a class and utterance.
    """
    model = serving.emotion_model(run.emotion, run.lake.retry_policy)
    _map_shards(shards, write_logits, run, client)
    for date, names in shards.items():
        rows, logits = adaptation.read_logits(run, date, names)
        posteriors = model.date_posteriors(logits, *speakers_and_weights(rows), shares=run.shares)
        adaptation.write_posteriors(run, date, rows, posteriors)


def _map_shards(shards: Shards, function: Callable[[Run, dt.date, str], int], run: Run, client: Any) -> list[int]:
    """Run one pass over all dates together: each pass is a round trip to the workers."""
    items = ((run.for_workers(), date, shard) for date, names in shards.items() for shard in names)
    return list(map_on_cluster(client, function, items, tries=run.shard_tries))
