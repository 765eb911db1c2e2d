"""Stage 4: the speaker of every utterance, date by date, against the speakers that the lake remembers."""

import numpy as np
import polars as pl
import pyarrow as pa

from data_contracts.schemas import SPEAKERS, UTTERANCE_KEY, utterances
from features import store
from models.linking import Decision, Voiceprint
from models.linking import identify as identify_speakers
from tasks.run import Run
from tasks.select import Pending, pending
from tasks.stage import stage

KEY = list(UTTERANCE_KEY)


@stage
def identify(run: Run, waiting: Pending) -> int:
    """Writes `identities.parquet` (a speaker an utterance) and `founded.parquet`. Returns how many were founded."""
    extractor = run.speaker.metadata["extractor_digest"]
    enrolled_or_found = run.lake.frame("speakers", SPEAKERS).filter(pl.col("extractor") == extractor).collect()
    speakers = [
        Voiceprint(row["speaker_id"], np.asarray(row["centroid"], np.float32), row["kind"] == "enrolled")
        for row in enrolled_or_found.iter_rows(named=True)
    ]
    counted = pending(run).filter("counted")
    decision = Decision(float(run.speaker.metadata["threshold"]), *map(float, run.speaker.metadata["calibration"]))
    n_before, frames = len(speakers), [_nobody()]
    for date, shards in sorted(waiting.shards.items()):
        heard = voices(run, counted, date, shards)
        keys = list(heard.select(KEY).iter_rows())
        vectors = np.stack(heard["embedding"].to_list()).astype(np.float32)
        seconds = (heard["end_s"] - heard["start_s"]).to_numpy()
        secret = f"{run.pseudonym_key}/{extractor}"  # another encoder hears other voices in the same segments
        answer = identify_speakers(keys, vectors, seconds, speakers, decision=decision, pseudonym_key=secret)
        speakers += answer.founded
        frames.append(
            heard.select(KEY).with_columns(
                speaker_id=pl.Series(answer.speaker_ids, dtype=pl.String),
                speaker_score=pl.Series(answer.scores, dtype=pl.Float64),
                speaker_known=pl.Series(answer.known, dtype=pl.Boolean),
            )
        )
    run.lake.write_parquet(f"{run.staging}/identities.parquet", pl.concat(frames).to_arrow())
    founded = [{"speaker_id": s.speaker_id, "centroid": s.centroid.tolist()} for s in speakers[n_before:]]
    columns = pa.schema([SPEAKERS.field("speaker_id"), SPEAKERS.field("centroid")])
    run.lake.write_parquet(f"{run.staging}/founded.parquet", pa.Table.from_pylist(founded, schema=columns))
    return len(founded)


def voices(run: Run, counted: pl.DataFrame, date: object, shards: list[str]) -> pl.DataFrame:
    """A date's utterances that wait, with their embeddings and times, in the order of their keys."""
    wanted = counted.filter(pl.col("date") == date).select("recording_id", "shard")
    parts = []
    for shard in shards:
        ids = wanted.filter(pl.col("shard") == shard).select("recording_id")
        tables = [store.read(run.lake, name, run.feature_version, date, shard) for name in ("segments", "embeddings")]  # type: ignore[arg-type]
        segments, embeddings = (pl.DataFrame(table).join(ids, on="recording_id", how="semi") for table in tables)
        parts.append(segments.join(embeddings, on=KEY, how="inner"))
    return pl.concat(parts).unique(KEY, keep="first").sort(KEY)


def _nobody() -> pl.DataFrame:
    schema = utterances(())
    columns = [*KEY, "speaker_id", "speaker_score", "speaker_known"]
    return pl.DataFrame(pa.schema([schema.field(name) for name in columns]).empty_table())
