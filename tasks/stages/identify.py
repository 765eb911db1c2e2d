"""Stage 4: the speaker of every utterance, date by date, against the speakers that the lake remembers."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from data_contracts.schema.tables import UTTERANCE_KEY
from models.speaker.linking import Decision, link_speakers
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.speakers.gallery import Gallery
from tasks.stages.stage import stage
from tasks.staging.pending import PendingRecordings, read_pending
from tasks.staging.voices import no_identities, read_reenrolled, read_voices


@dataclass(frozen=True)
class Identification:
    """Speakers heard for the first time, those who kept their name under another encoder, what to tell of others."""

    n_founded: int
    n_carried: int = 0
    left_behind: list[str] = field(default_factory=list)


@stage
def identify(run: Run, waiting: PendingRecordings) -> Identification:
    """Writes `identities.parquet` (a speaker an utterance) and `voices.parquet` (the centroids that are new)."""
    extractor = str(run.speaker.metadata["extractor_digest"])
    memory = Gallery.of(run.lake, extractor, read_reenrolled(run))
    counted, frames = read_pending(run).filter("counted"), [no_identities()]
    for date, shards in sorted(waiting.shards.items()):
        heard = read_voices(run, counted, date, shards)
        seconds = (heard["end_s"] - heard["start_s"]).to_numpy()
        answer = link_speakers(
            list(heard.select(UTTERANCE_KEY).iter_rows()),
            np.stack(heard["embedding"].to_list()).astype(np.float32),
            seconds,
            memory.voiceprints,
            decision=Decision.from_model(run.speaker),
            pseudonym_key=f"{run.pseudonym_key}/{extractor}",  # another encoder hears other voices in the same segments
            reserved_names=memory.people["speaker_id"].to_list(),
        )
        answer = memory.learn(answer, memory.published_as(run.lake, date, heard), seconds)
        frames.append(
            heard.select(UTTERANCE_KEY).with_columns(
                speaker_id=pl.Series(answer.speaker_ids, dtype=pl.String),
                speaker_score=pl.Series(answer.scores, dtype=pl.Float64),
                speaker_known=pl.Series(answer.known, dtype=pl.Boolean),
            )
        )
    run.lake.write_parquet(paths.identities(run.id), pl.concat(frames).to_arrow())
    run.lake.write_parquet(paths.voices(run.id), memory.table())
    return Identification(len(memory.founded), memory.n_carried, memory.left_behind())
