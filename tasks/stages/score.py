"""Stage 5: the emotion model over the stored features, adapted to the speakers of stage 4; the audio is not touched.

A date is a corpus of its own: what its utterances have in common, and what each of its speakers has, is found from all
of the date's stored features in a few passes over its shards, of which only sums by speaker come back. So a nightly run
and a backfill say the same of a date, and what comes late is adapted with those who were there before.
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
from tasks.workers.score import score_one, sum_features, sum_posteriors, uses_speaker_adaptation

Shards = Mapping[dt.date, Sequence[str]]


@stage
def score(run: Run, waiting: PendingRecordings, client: Any) -> int:
    """Scores every utterance that waits, a future a shard and pass. Returns how many."""
    check_features(run.emotion, run.config, extractor=run.speaker.metadata.get("extractor_digest"))
    everybody = {date: utterance_features.write_index(run, date) for date in waiting.shards}
    if uses_speaker_adaptation(run):
        _adapt(run, everybody, client)
    return sum(_map_shards(waiting.shards, score_one, run, client))


def _adapt(run: Run, shards: Shards, client: Any) -> None:
    """Finds the offsets of each date and of its speakers, and writes them down where workers find them."""
    prior = serving.emotion_model(run.emotion, run.lake.retry_policy).prior
    _map_shards(shards, sum_features, run, client)
    sums = {date: adaptation.read_sums(run, date, own) for date, own in shards.items()}
    for date, of in sums.items():
        corpus = speaker_adaptation.corpus_offset(of, prior)
        adaptation.write_offsets(run, date, of.speakers, corpus.expand(len(of.speakers), -1))
    for _ in range(speaker_adaptation.ROUNDS):
        _map_shards(shards, sum_posteriors, run, client)
        for date, of in sums.items():
            believed = adaptation.read_sums(run, date, shards[date])
            own = speaker_adaptation.speaker_offsets(replace(of, posteriors=believed.posteriors), prior)
            adaptation.write_offsets(run, date, of.speakers, own)


def _map_shards(shards: Shards, function: Callable[[Run, dt.date, str], int], run: Run, client: Any) -> list[int]:
    """A pass over all dates together: each is a round trip to the workers."""
    items = ((run.for_workers(), date, shard) for date, own in shards.items() for shard in own)
    return list(map_on_cluster(client, function, items, tries=run.shard_tries))
