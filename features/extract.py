"""Stage 3: extract_block(recordings) <- extract_shard(shard). From a shard's audio to its feature files."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_contracts.lake import Lake
from data_contracts.reasons import PASSING
from data_contracts.records import Counts, ShardRef
from features import shards, store
from features.audio import SAMPLE_RATE, Decoded
from features.batches import padded, sorted_batches
from features.changes import Along, split_at_changes
from features.config import FeatureConfig
from features.contours import suprasegmental
from features.gemaps import egemaps_and_lld
from features.mel import log_mel
from features.prefetch import Fetched, fetch_ahead
from features.segments import Span, speech_segments
from features.tables import CHANNEL, ShardTables, object_columns, quality_columns
from features.vad import VadConfig, speech_probabilities

Embed = Callable[[Tensor, Tensor], np.ndarray]
"""(batch, time) waveforms and (batch,) lengths to (batch, dim) vectors."""


@dataclass(frozen=True)
class Embedder:
    """A model that hears utterances: its vectors are a feature set. That of voices may say who speaks along them."""

    embed: Embed
    dim: int
    along: Along | None = None


Embedders = Mapping[str, Embedder]
"""By feature set; `embeddings`, the speaker's, L2-normalised, is one of them."""

_BLOCK_S = 900.0  # of decoded audio held at a time
_BATCH_SAMPLES = 160 * SAMPLE_RATE


def extract_shard(
    lake: Lake,
    shard: ShardRef,
    *,
    version: str,
    config: FeatureConfig,
    embedders: Embedders,
    n_readers: int = 16,
    replace: bool = False,
) -> Counts:
    """Reads, decodes, finds speech, computes, and writes one Parquet file a feature set. Returns what it counted.

    Rejected files become rows with their reason. The same content twice in a shard is computed once. A shard that
    another run finished meanwhile stays as it is, unless it is to be replaced.
    """
    counts, tables = Counts(), ShardTables(_dims(embedders), logmel=config.logmel, lld=config.lld)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    members = shards.read_plan(lake, shard)
    quality: dict[str, dict[str, object]] = {}  # by content
    fetched = _timed(fetch_ahead(members, config=config.audio, n_readers=n_readers), counts)
    for block in _blocks(fetched):
        fresh = {
            item.sha256: item.audio.waveform
            for item in block
            if item.sha256 and isinstance(item.audio, Decoded) and item.sha256 not in quality
        }
        spans = extract_block(fresh, tables, config=config, embedders=embedders, device=device, counts=counts)
        for item in block:
            content = item.sha256 or item.item.uri
            if content in quality:
                counts.n_duplicates += 1
            else:
                quality[content] = quality_columns(item.audio, spans.get(content, []))
            tables.recordings.append(object_columns(item.item) | {"recording_id": item.sha256} | quality[content])
    started = time.perf_counter()
    if (_failed(tables) or not replace) and store.is_done(lake, version, shard.date, shard.id):
        return tables.tally(counts)  # or done again by force, and the store of audio fails: what was read stays
    store.write_shard(
        lake, tables.arrow(), version=version, date=shard.date, shard=shard.id, configuration=repr(config)
    )
    counts.write_s += time.perf_counter() - started
    return tables.tally(counts)


def _dims(embedders: Embedders) -> dict[str, int]:
    return {name: embedder.dim for name, embedder in embedders.items()}


def _failed(tables: ShardTables) -> bool:
    return any(row["reason"] in PASSING for row in tables.recordings)


def extract_block(
    waveforms: dict[str, np.ndarray],  # recording_id: (time,) float32 at 16 kHz
    tables: ShardTables,
    *,
    config: FeatureConfig,
    embedders: Embedders,
    device: torch.device,
    counts: Counts,
) -> dict[str, list[Span]]:
    """Finds the speech of some recordings and adds each utterance's features to `tables`. Returns the spans."""
    started = time.perf_counter()
    spans = dict(zip(waveforms, find_speech(list(waveforms.values()), config.vad, device), strict=True))
    counts.vad_s += time.perf_counter() - started
    started = time.perf_counter()
    along = embedders["embeddings"].along if "embeddings" in embedders else None
    spans = split_at_changes(waveforms, spans, along, config=config.changes, device=device)
    counts.embed_s += time.perf_counter() - started
    pieces: list[np.ndarray] = []
    for recording_id, found in spans.items():
        for segment, span in enumerate(found):
            piece = waveforms[recording_id][round(span.start_s * SAMPLE_RATE) : round(span.end_s * SAMPLE_RATE)]
            pieces.append(piece)
            tables.keys.append((recording_id, CHANNEL, segment))
            tables.spans.append(span)
            tables.levels_db.append(level_db(piece))
    _compute(pieces, tables, config=config, embedders=embedders, device=device, counts=counts)
    return spans


def find_speech(waveforms: Sequence[np.ndarray], config: VadConfig, device: torch.device) -> list[list[Span]]:
    """Speech segments of each (time,) waveform, found in batches of similar length."""
    found: list[list[Span]] = [[] for _ in waveforms]
    for batch in sorted_batches([len(waveform) for waveform in waveforms], most_samples=4 * _BATCH_SAMPLES):
        chosen = [waveforms[index] for index in batch]
        probabilities = speech_probabilities(*padded(chosen, device)).cpu().numpy()
        for index, row in zip(batch, probabilities, strict=True):
            found[index] = speech_segments(row, seconds=len(waveforms[index]) / SAMPLE_RATE, config=config)
    return found


def level_db(waveform: np.ndarray) -> float:
    """Root mean square, dB relative to full scale; -120 for digital silence."""
    power = float(np.mean(np.square(waveform, dtype=np.float64))) if len(waveform) else 0.0
    return 10 * float(np.log10(max(power, 1e-12)))


def _compute(
    pieces: list[np.ndarray],
    tables: ShardTables,
    *,
    config: FeatureConfig,
    embedders: Embedders,
    device: torch.device,
    counts: Counts,
) -> None:
    order: list[int] = []
    found = ShardTables(tables.dims)  # in the batches' order
    for batch in sorted_batches([len(piece) for piece in pieces], most_samples=_BATCH_SAMPLES):
        waveform, lengths = padded([pieces[index] for index in batch], device)
        order += batch
        started = time.perf_counter()
        values, described = egemaps_and_lld(waveform, lengths, config=config.egemaps)
        found.egemaps += [*values.cpu().numpy()]
        found.suprasegmentals += [*suprasegmental(waveform, lengths, described).cpu().numpy()]
        if config.lld:
            found.llds += _own_frames(described.values, described.n_frames)
            found.voiced += _own_frames(described.voiced, described.n_frames)
        computed = time.perf_counter()
        for name, embedder in embedders.items():
            found.vectors[name] += [*embedder.embed(waveform, lengths)]
        counts.egemaps_s += computed - started
        counts.embed_s += time.perf_counter() - computed
        if config.logmel:
            found.logmels += _own_frames(*log_mel(waveform, lengths, config=config.mel))
    back = np.argsort(order)
    tables.egemaps += [found.egemaps[place] for place in back]
    tables.suprasegmentals += [found.suprasegmentals[place] for place in back]
    for name, vectors in found.vectors.items():
        tables.vectors[name] += [vectors[place] for place in back]
    tables.logmels += [found.logmels[place] for place in back if config.logmel]
    tables.llds += [found.llds[place] for place in back if config.lld]
    tables.voiced += [found.voiced[place] for place in back if config.lld]


def _own_frames(values: Tensor, n_frames: Tensor) -> list[np.ndarray]:
    """(batch, frames, ...) without each row's padding."""
    return [row[:n] for row, n in zip(values.cpu().numpy(), n_frames.tolist(), strict=True)]


def _blocks(fetched: Iterable[Fetched]) -> Iterator[list[Fetched]]:
    """Groups of about `_BLOCK_S` seconds of decoded audio: what is in memory at a time."""
    block: list[Fetched] = []
    seconds = 0.0
    for item in fetched:
        block.append(item)
        seconds += item.audio.seconds if isinstance(item.audio, Decoded) else 0.0
        if seconds >= _BLOCK_S:
            yield block
            block, seconds = [], 0.0
    if block:
        yield block


def _timed(fetched: Iterator[Fetched], counts: Counts) -> Iterator[Fetched]:
    """Adds to `counts.read_s` what the compute had to wait for reading and decoding."""
    while True:
        started = time.perf_counter()
        item = next(fetched, None)
        counts.read_s += time.perf_counter() - started
        if item is None:
            return
        yield item
