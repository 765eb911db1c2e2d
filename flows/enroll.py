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
from data_contracts.lake import Lake
from data_contracts.validation import validate
from features.audio import SAMPLE_RATE, Decoded, Reject, decode
from features.batches import padded
from features.config import FeatureConfig
from features.extract import find_speech
from features.prefetch import read_object
from flows.settings import Settings
from tasks.extract import encoder
from tasks.publish import upsert
from tasks.run import new_id

_LEAST_S = 2.0


def enroll(settings: Settings, name: str, uris: list[str]) -> dict[str, Any]:
    """Enrols `name` and returns the row. Enrolling again replaces the voice. Raises for recordings without speech."""
    speaker_id = re.sub(r"[\W_]+", "-", name.casefold()).strip("-")
    if not speaker_id:
        raise UsageError(f"a speaker's name needs a letter or a digit; found {name!r}")
    lake = settings.open_lake()
    model = settings.open_registry(lake).champion("speaker")
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
    voice = {
        "name": name,
        "kind": "enrolled",
        "centroid": (centroid / np.linalg.norm(centroid)).tolist(),
        "extractor": model.metadata["extractor_digest"],
        "sources": uris,
        "run_id": new_id(dt.datetime.now(dt.UTC)),
    }
    upsert(lake, "speakers", voice["run_id"], lambda: _row(lake, speaker_id, voice))
    return {"speaker_id": speaker_id, "name": name, "speech_s": float(seconds.sum()), "sources": uris}


def _row(lake: Lake, speaker_id: str, voice: dict[str, Any]) -> pa.Table:
    """The speaker as it stands, with the voice; checked as any staged row is."""
    row: dict[str, Any] = {"speaker_id": speaker_id, "n_utterances": 0, "speech_s": 0.0}
    for before in (
        lake.frame("speakers", schemas.SPEAKERS).filter(pl.col("speaker_id") == speaker_id).collect().to_dicts()
    ):
        if before["name"] != voice["name"]:
            raise UsageError(f"{speaker_id} is {before['name']!r} already; enrol {voice['name']!r} under another name")
        row |= before
    table = pa.Table.from_pylist([row | voice], schema=schemas.SPEAKERS)
    verdict = validate({"speakers": table.to_pandas()}, [], run_id=voice["run_id"])
    if verdict.critical:
        raise ValidationStopped(f"the enrolment of {voice['name']!r} broke a contract: {verdict.critical[0]}")
    return table


def _waveform(uri: str, config: FeatureConfig) -> np.ndarray:
    try:
        audio: Decoded | Reject = decode(read_object(uri), config=config.audio)
    except OSError as error:
        raise CorpusError(f"{uri} cannot be read: {error}") from error
    if isinstance(audio, Reject):
        raise CorpusError(f"{uri} cannot be used: {audio.reason} ({audio.error})")
    return audio.waveform
