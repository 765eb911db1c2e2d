"""Re-enrollment before stage 4, under another encoder: enrolled voices are embedded again from their recordings."""

from dataclasses import dataclass, field

import polars as pl

from data_contracts.errors import TransientError, UndertoneError
from data_contracts.schema.tables import SPEAKERS
from models.speaker.linking import Voiceprint
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.speakers.enrollment import embed_recordings
from tasks.stages.stage import stage_named
from tasks.staging.voices import voiceprint_table


@dataclass(frozen=True)
class Reenrollment:
    """The number of voices that were enrolled again, and notes about those that could not be."""

    n: int
    failed: list[str] = field(default_factory=list)


@stage_named("reenrol")
def reenroll(run: Run) -> Reenrollment:
    """Write `reenrolled.parquet`; empty where the run reads no audio, or published them with an earlier batch.

    A source that cannot be read is noted and stops nothing.
    """
    speakers = run.lake.frame("speakers", SPEAKERS).collect()
    is_foreign = pl.col("extractor") != run.speaker.metadata["extractor_digest"]
    outdated = speakers.filter(is_foreign, pl.col("sources").list.len() > 0).sort("speaker_id")
    voices, failed = [], []
    for row in outdated.iter_rows(named=True) if run.corpus is not None and not run.batch else ():
        try:
            voice = embed_recordings(row["sources"], run.speaker, run.config, retry_policy=run.resources.retry_policy)
        except TransientError:
            raise
        except UndertoneError as error:
            failed.append(f"{row['name']} was enrolled under another encoder and is not heard again: {error}")
            continue
        voices.append(Voiceprint(row["speaker_id"], voice.centroid, known=True, speech_s=voice.speech_s))
    run.lake.write_parquet(paths.reenrolled(run.id), voiceprint_table(voices))
    return Reenrollment(len(voices), failed)
