"""Features of utterances from their waveforms, in batches of similar length."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from data_contracts.records import Counts
from features.decode.config import SAMPLE_RATE
from features.dsp.batching import map_batches, max_batch_samples
from features.dsp.gemaps import egemaps_and_lld
from features.dsp.mel import log_mel
from features.dsp.suprasegmentals import suprasegmental
from features.extraction.config import FeatureConfig
from features.extraction.tables import ShardTables
from features.segmentation.cutting import cut_span
from features.segmentation.segments import Span
from features.segmentation.speaker_changes import ChangeConfig, SlidingEmbedder, split_at_changes

Embed = Callable[[Tensor, Tensor], np.ndarray]
"""(batch, time) waveforms and (batch,) lengths to (batch, dim) vectors."""


@dataclass(frozen=True)
class Embedder:
    """A model that embeds utterances; its vectors are a feature set. That of voices may embed sliding windows, too."""

    embed: Embed
    dim: int
    sliding: SlidingEmbedder | None = None


Embedders = Mapping[str, Embedder]
"""By feature set; `embeddings`, the speaker's, L2-normalised, is one of them."""


@dataclass(frozen=True)
class Utterance:
    """An utterance: its recording and channel, its span and its waveform."""

    recording_id: str
    channel: int
    span: Span
    waveform: np.ndarray  # (time,) float32 at 16 kHz

    def parts(self, spans: Sequence[Span]) -> "list[Utterance]":
        """Cut the utterance at `spans`, seconds from its beginning, which cover it."""
        start_s = self.span.start_s
        edges_s = [start_s, *(start_s + span.start_s for span in spans[1:]), self.span.end_s]
        first = round(start_s * SAMPLE_RATE)
        return [
            replace(self, span=Span(*ends), waveform=cut_span(self.waveform, Span(*ends), first_sample=first))
            for ends in pairwise(edges_s)
        ]


def split_by_voice(
    utterances: Sequence[Utterance], embedders: Embedders, *, config: ChangeConfig, device: torch.device
) -> list[Utterance]:
    """Split the utterances in which the voice changes."""
    embed_sliding = embedders["embeddings"].sliding if "embeddings" in embedders else None
    waveforms = {number: utterance.waveform for number, utterance in enumerate(utterances)}
    whole = {number: [Span(0.0, len(waveform) / SAMPLE_RATE)] for number, waveform in waveforms.items()}
    pieces = split_at_changes(waveforms, whole, embed_sliding, config=config, device=device)
    return [part for number, utterance in enumerate(utterances) for part in utterance.parts(pieces[number])]


def compute_features(
    utterances: Sequence[Utterance],
    tables: ShardTables,
    *,
    config: FeatureConfig,
    embedders: Embedders,
    device: torch.device,
    counts: Counts,
) -> None:
    """Compute each utterance's features and add them to `tables`.

    `utterances` of a recording and channel are in the order of time; the rows keep the order of `utterances`.
    """
    for utterance in utterances:
        tables.add(utterance.recording_id, utterance.channel, utterance.span, level_db(utterance.waveform))

    def compute(waveform: Tensor, lengths: Tensor) -> list[_Row]:
        return _compute_rows(waveform, lengths, config=config, embedders=embedders, counts=counts)

    pieces = [utterance.waveform for utterance in utterances]
    for row in map_batches(compute, pieces, device, max_samples=max_batch_samples(device)):
        tables.egemaps.append(row.egemaps)
        tables.suprasegmentals.append(row.suprasegmental)
        for name, vector in row.vectors.items():
            tables.vectors[name].append(vector)
        tables.logmels += row.logmel
        tables.llds += row.lld
        tables.voiced += row.voiced


@dataclass(frozen=True)
class _Row:
    """Features of one utterance; optional ones are lists of one, or empty where they are not enabled."""

    egemaps: np.ndarray
    suprasegmental: np.ndarray
    vectors: dict[str, np.ndarray]
    logmel: list[np.ndarray]
    lld: list[np.ndarray]
    voiced: list[np.ndarray]


def _compute_rows(
    waveform: Tensor, lengths: Tensor, *, config: FeatureConfig, embedders: Embedders, counts: Counts
) -> list[_Row]:
    started = time.perf_counter()
    values, descriptors = egemaps_and_lld(waveform, lengths, config=config.egemaps)
    egemaps = values.cpu().numpy()
    wide = suprasegmental(waveform, lengths, descriptors).cpu().numpy()
    lld = _valid_frames(descriptors.values, descriptors.n_frames) if config.lld else None
    voiced = _valid_frames(descriptors.voiced, descriptors.n_frames) if config.lld else None
    computed = time.perf_counter()
    vectors = {name: embedder.embed(waveform, lengths) for name, embedder in embedders.items()}
    counts.egemaps_s += computed - started
    counts.embed_s += time.perf_counter() - computed
    logmel = _valid_frames(*log_mel(waveform, lengths, config=config.mel)) if config.logmel else None
    return [
        _Row(
            egemaps[row],
            wide[row],
            {name: vectors[name][row] for name in vectors},
            *([] if frames is None else [frames[row]] for frames in (logmel, lld, voiced)),
        )
        for row in range(len(egemaps))
    ]


def level_db(waveform: np.ndarray) -> float:
    """Compute the root mean square in dB relative to full scale; -120 for digital silence."""
    power = float(np.mean(np.square(waveform, dtype=np.float64))) if len(waveform) else 0.0
    return 10 * float(np.log10(max(power, 1e-12)))


def _valid_frames(values: Tensor, n_frames: Tensor) -> list[np.ndarray]:
    """Split (batch, frames, ...) into rows without their padding."""
    return [row[:n] for row, n in zip(values.cpu().numpy(), n_frames.tolist(), strict=True)]
