"""A known voice: embeddings of its recordings, averaged, into `speakers`."""

import datetime as dt
import re
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import torch

from data_contracts import schemas
from data_contracts.errors import CorpusError, UsageError, ValidationStopped
from data_contracts.validation import validate
from features.audio import SAMPLE_RATE, Decoded, Reject, decode
from features.batches import padded
from features.config import FeatureConfig
from features.extract import find_speech
from features.prefetch import read_object
from flows.settings import Settings
from models.registry import Registry
from tasks.extract import encoder
from tasks.publish import upsert
from tasks.run import new_id

_LEAST_S = 2.0


def enroll(settings: Settings, name: str, uris: list[str]) -> dict[str, Any]:
    """Enrols `name` and returns the row. Enrolling again replaces the voice. Raises for recordings without speech."""
    speaker_id = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not speaker_id:
        raise UsageError(f"a speaker's name needs a letter or a digit; found {name!r}")
    lake = settings.open_lake()
    model = Registry(settings.registry_uri(lake), lake.at("registry", "artifacts")).champion("speaker")
    device, config = torch.device("cpu"), FeatureConfig()
    waveforms = [_waveform(uri, config) for uri in uris]
    spans = find_speech(waveforms, config.vad, device)
    pieces = [
        waveform[round(span.start_s * SAMPLE_RATE) : round(span.end_s * SAMPLE_RATE)]
        for waveform, found in zip(waveforms, spans, strict=True)
        for span in found
    ]
    seconds = np.array([len(piece) / SAMPLE_RATE for piece in pieces])
    if seconds.sum() < _LEAST_S:
        raise UsageError(
            f"enrolling needs {_LEAST_S:.0f} s of speech; found {seconds.sum():.1f} s in {', '.join(uris)}"
        )
    embed = encoder(model)
    vectors = np.concatenate([embed(*padded([piece], device)) for piece in pieces])
    centroid = np.average(vectors, axis=0, weights=seconds)
    run_id = new_id(dt.datetime.now(dt.UTC))
    before = lake.frame("speakers", schemas.SPEAKERS).filter(pl.col("speaker_id") == speaker_id).collect().to_dicts()
    seen = (
        {key: before[0][key] for key in ("first_seen", "last_seen", "n_utterances")} if before else {"n_utterances": 0}
    )
    row = {
        **seen,
        "speaker_id": speaker_id,
        "name": name,
        "kind": "enrolled",
        "speech_s": before[0]["speech_s"] if before else 0.0,
        "centroid": (centroid / np.linalg.norm(centroid)).tolist(),
        "extractor": model.metadata["extractor_digest"],
        "sources": uris,
        "run_id": run_id,
    }
    table = pa.Table.from_pylist([row], schema=schemas.SPEAKERS)
    verdict = validate({"speakers": table.to_pandas()}, [], run_id=run_id)
    if verdict.critical:
        raise ValidationStopped(f"the enrolment of {name!r} broke a contract: {verdict.critical[0]}")
    upsert(lake, "speakers", run_id, table)
    return {"speaker_id": speaker_id, "name": name, "speech_s": float(seconds.sum()), "sources": uris}


def _waveform(uri: str, config: FeatureConfig) -> np.ndarray:
    try:
        audio: Decoded | Reject = decode(read_object(uri), config=config.audio)
    except OSError as error:
        raise CorpusError(f"{uri} cannot be read: {error}") from error
    if isinstance(audio, Reject):
        raise CorpusError(f"{uri} cannot be used: {audio.reason} ({audio.error})")
    return audio.waveform
