"""Labelled speech: the clips of `labels.csv`, segmented as by the pipeline."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from data_contracts.fingerprint import digest
from features.decode.config import SAMPLE_RATE
from features.decode.recording import Decoded, decode
from features.extraction.shard import find_speech_spans
from features.segmentation.config import VadConfig
from models.data.labels_file import Clip

_CLIPS_PER_BATCH = 64


@dataclass(frozen=True)
class Speech:
    """The speech of a clip: the spans that the pipeline's voice activity detection finds, joined."""

    clip: Clip
    recording_id: str  # first 12 hex of the SHA-256 of the file's bytes
    waveform: np.ndarray  # (time,) float32 at 16 kHz


def manifest_digest(speech: Iterable[Speech]) -> str:
    """Return 12 hex digits that name a training set: its recordings and their labels, in any order."""
    items = list(speech)
    return manifest_digest_from_ids([item.clip for item in items], [item.recording_id for item in items])


def manifest_digest_from_ids(clips: Iterable[Clip], recordings: Iterable[str]) -> str:
    """Return `manifest_digest` of clips and the hashes of their content."""
    rows = sorted((name, clip.corpus, clip.speaker, clip.emotion) for clip, name in zip(clips, recordings, strict=True))
    return digest("\n".join("\t".join(row) for row in rows).encode(), 12)


def read_speech(clips: Sequence[Clip], config: VadConfig = VadConfig()) -> Iterator[Speech]:
    """Yield the speech of each clip, in order, without clips that do not decode or hold no speech.

    The same content under another name counts once, as in the pipeline.
    """
    for clip, recording_id, pieces in read_utterances(clips, config):
        if pieces:
            yield Speech(clip, recording_id, np.concatenate(pieces))


def read_utterances(
    clips: Sequence[Clip], config: VadConfig = VadConfig()
) -> Iterator[tuple[Clip, str, list[np.ndarray]]]:
    """Yield the recording_id and the stretches of speech of each clip that decodes, in order; of a content once."""
    known: set[str] = set()
    for first in range(0, len(clips), _CLIPS_PER_BATCH):
        decoded: list[tuple[Clip, str, np.ndarray]] = []
        for clip in clips[first : first + _CLIPS_PER_BATCH]:
            data = clip.path.read_bytes()
            recording_id = digest(data, 12)
            audio = decode(data)
            if isinstance(audio, Decoded) and recording_id not in known:
                decoded.append((clip, recording_id, audio.waveform))
                known.add(recording_id)
        found = find_speech_spans([waveform for *_, waveform in decoded], config, torch.device("cpu"))
        for (clip, recording_id, waveform), spans in zip(decoded, found, strict=True):
            edges = [(round(s.start_s * SAMPLE_RATE), round(s.end_s * SAMPLE_RATE)) for s in spans]
            yield clip, recording_id, [waveform[start:end] for start, end in edges]
