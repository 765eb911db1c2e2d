"""Stage 4: the speaker of every utterance, date by date, by comparison with the speaker gallery."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from data_contracts.schema.tables import UTTERANCE_KEY
from models.speaker.centring import night_centre
from models.speaker.decision import Decision
from models.speaker.linking import link_speakers
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.speakers.gallery import Gallery
from tasks.stages.stage import stage
from tasks.staging.pending import PendingRecordings, read_pending
from tasks.staging.voices import no_identities, read_reenrolled, read_voices, voiceprint_table


@dataclass(frozen=True)
class Identification:
    """Counts of new speakers and of those matched across encoders; notes about enrolled ones that are not."""

    n_founded: int
    n_reidentified: int = 0
    unmatched: list[str] = field(default_factory=list)


@stage
def identify(run: Run, pending: PendingRecordings) -> Identification:
    """Write `identities.parquet` (a speaker an utterance) and `voices.parquet` (the new voiceprints)."""
    extractor = str(run.speaker.metadata["extractor_digest"])
    decision, gallery = Decision.from_model(run.speaker), Gallery.from_lake(run.lake, extractor, read_reenrolled(run))
    counted, frames = read_pending(run).filter("counted"), [no_identities()]
    for date, shards in sorted(pending.shards.items()):
        heard = read_voices(run, counted, date, shards)
        centre = night_centre(*_embeddings_and_seconds(heard), decision)
        voices = heard.filter("waits")
        embeddings, seconds = _embeddings_and_seconds(voices)
        identities = link_speakers(
            list(voices.select(UTTERANCE_KEY).iter_rows()),
            embeddings,
            seconds,
            gallery.voiceprints,
            decision=decision,
            centre=centre,
            pseudonym_key=f"{run.pseudonym_key}/{extractor}",  # another encoder hears other voices in the same segments
            reserved_names=gallery.speakers["speaker_id"].to_list(),
        )
        identities = gallery.add(identities, gallery.previous_ids(run.lake, date, voices), seconds)
        frames.append(
            voices.select(UTTERANCE_KEY).with_columns(
                speaker_id=pl.Series(identities.speaker_ids, dtype=pl.String),
                speaker_reason=pl.Series(identities.reasons, dtype=pl.String),
                speaker_score=pl.Series(identities.scores, dtype=pl.Float64, nan_to_null=True),
                speaker_known=pl.Series(identities.known, dtype=pl.Boolean),
            )
        )
    run.lake.write_parquet(paths.identities(run.id), pl.concat(frames).to_arrow())
    run.lake.write_parquet(paths.voices(run.id), voiceprint_table(gallery.new_voices()))
    return Identification(len(gallery.founded), gallery.n_reidentified, gallery.unmatched())


def _embeddings_and_seconds(voices: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return np.stack(voices["embedding"].to_list()).astype(np.float32), (voices["end_s"] - voices["start_s"]).to_numpy()
