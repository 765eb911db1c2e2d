"""Extraction of a shard's audio to its feature files: extract_block(recordings) <- extract_shard(shard)."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa
import torch

from data_contracts.lake import Lake
from data_contracts.records import AudioObject, Counts, ShardRef
from data_contracts.rejects import RETRYABLE, Reject
from features.corpus import shard_plan
from features.decode.config import SAMPLE_RATE
from features.decode.recording import Decoded
from features.extraction.config import FeatureConfig
from features.extraction.prefetch import DecodedObject, LongRecording, fetch_ahead
from features.extraction.tables import ShardTables, count_recordings, object_columns, quality_columns
from features.extraction.utterances import Embedders, Utterance, compute_features, split_by_voice
from features.resources import Resources
from features.segmentation.config import VadConfig
from features.segmentation.cutting import cut_span
from features.segmentation.segments import Span
from features.segmentation.speech import ChannelSpeech, detect_speech
from features.store import packs, shard_files


@dataclass
class ShardExtraction:
    """Result of a shard's extraction: counts, and the members that are so long that they become shards of their own."""

    counts: Counts = field(default_factory=Counts)
    long: list[AudioObject] = field(default_factory=list)


def extract_shard(
    lake: Lake,
    shard: ShardRef,
    *,
    version: str,
    config: FeatureConfig,
    embedders: Embedders,
    resources: Resources = Resources(),
    replace: bool = False,
) -> ShardExtraction:
    """Read, decode, find speech, compute features, and write one Parquet file a feature set.

    Rejected files become rows with their reason. The same content twice in a shard is computed once. Long recordings
    are left out (`features.extraction.long_recording`). A shard that another run finished meanwhile stays as it is,
    unless it is to be replaced.
    """
    extraction, tables, resources = ShardExtraction(), empty_tables(embedders, config), resources.fit_to_machine()
    device, members = best_device(), shard_plan.read_plan(lake, shard)
    quality: dict[str, dict[str, object]] = {}  # by content
    for block in _blocks(
        _time_waits(fetch_ahead(members, config=config.audio, resources=resources), extraction.counts), resources
    ):
        fresh = {
            item.sha256: item.audio
            for item in block
            if item.sha256 and isinstance(item.audio, Decoded) and item.sha256 not in quality
        }
        speech = extract_block(
            fresh, tables, config=config, embedders=embedders, device=device, counts=extraction.counts
        )
        for item in block:
            if isinstance(item.audio, LongRecording):
                extraction.long.append(item.item)
                extraction.counts.n_long += 1
                continue
            content = item.sha256 or item.item.uri
            if content in quality:
                extraction.counts.n_duplicates += 1
            else:
                measured = item.audio.measures if isinstance(item.audio, Decoded) else item.audio
                quality[content] = quality_columns(measured, speech.get(content, {}))
            tables.recordings.append(object_columns(item.item) | {"recording_id": item.sha256} | quality[content])
    if tables.recordings:
        started = time.perf_counter()
        write_tables(lake, tables.arrow(), shard, version=version, config=config, replace=replace)
        extraction.counts.write_s += time.perf_counter() - started
    count_recordings(extraction.counts, tables.recordings)
    return extraction


def reject_shard(
    lake: Lake,
    shard: ShardRef,
    reject: Reject,
    *,
    version: str,
    config: FeatureConfig,
    embedders: Embedders,
    replace: bool = False,
) -> Counts:
    """Write a shard that cannot be read: each of its members is rejected for the reason of `reject`."""
    tables = empty_tables(embedders, config)
    columns = {"recording_id": None} | quality_columns(reject, {})
    tables.recordings += [object_columns(item) | columns for item in shard_plan.read_plan(lake, shard)]
    write_tables(lake, tables.arrow(), shard, version=version, config=config, replace=replace)
    return count_recordings(Counts(), tables.recordings)


def write_tables(
    lake: Lake, tables: dict[str, pa.Table], shard: ShardRef, *, version: str, config: FeatureConfig, replace: bool
) -> None:
    """Write a shard's tables, unless it is done already, and whole.

    With `replace` a finished shard is written again, except if the store of audio failed: then its earlier rows stay.
    """
    is_done = partial(shard_files.is_done, lake, version, shard.date, shard.id)
    failed = any(reason in RETRYABLE for reason in tables["recordings"]["reason"].to_pylist())
    rewrites = is_done()
    if rewrites and (failed or (not replace and all(map(is_done, tables)))):
        return
    shard_files.write_shard(lake, tables, version=version, date=shard.date, shard=shard.id, configuration=repr(config))
    if replace or rewrites:
        for feature_set in tables:
            packs.unpack(lake, shard_files.folder(feature_set, version, shard.date), shard.id)


def empty_tables(embedders: Embedders, config: FeatureConfig) -> ShardTables:
    """Return empty tables of all the feature sets to fill."""
    dims = {name: embedder.dim for name, embedder in embedders.items()}
    return ShardTables(dims, logmel=config.logmel, lld=config.lld)


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def extract_block(
    recordings: Mapping[str, Decoded],  # by recording_id
    tables: ShardTables,
    *,
    config: FeatureConfig,
    embedders: Embedders,
    device: torch.device,
    counts: Counts,
) -> dict[str, dict[int, ChannelSpeech]]:
    """Find the speech of some recordings and add each utterance's features to `tables`.

    Returns the voice activity and its spans, by recording and channel.
    """
    started = time.perf_counter()
    signals = [
        (recording_id, channel, waveform)
        for recording_id, decoded in recordings.items()
        for channel, waveform in decoded.waveforms.items()
    ]
    activities = detect_speech([waveform for *_, waveform in signals], config.vad, device)
    utterances = [
        Utterance(recording_id, channel, span, cut_span(waveform, span))
        for (recording_id, channel, waveform), activity in zip(signals, activities, strict=True)
        for span in activity.spans(seconds=len(waveform) / SAMPLE_RATE, config=config.vad)
    ]
    detected = time.perf_counter()
    utterances = split_by_voice(utterances, embedders, config=config.changes, device=device)
    counts.vad_s += detected - started
    counts.embed_s += time.perf_counter() - detected
    speech: dict[str, dict[int, ChannelSpeech]] = {recording_id: {} for recording_id in recordings}
    for (recording_id, channel, _), activity in zip(signals, activities, strict=True):
        speech[recording_id][channel] = ChannelSpeech(activity, [])
    for utterance in utterances:
        speech[utterance.recording_id][utterance.channel].spans.append(utterance.span)
    compute_features(utterances, tables, config=config, embedders=embedders, device=device, counts=counts)
    return speech


def find_speech_spans(waveforms: Sequence[np.ndarray], config: VadConfig, device: torch.device) -> list[list[Span]]:
    """Return the spans of speech of each (time,) waveform, found in batches of similar length."""
    return [
        activity.spans(seconds=len(waveform) / SAMPLE_RATE, config=config)
        for waveform, activity in zip(waveforms, detect_speech(waveforms, config, device), strict=True)
    ]


def _blocks(objects: Iterable[DecodedObject], resources: Resources) -> Iterator[list[DecodedObject]]:
    """Group objects to about `block_s` seconds of decoded audio, which bounds the memory.

    The first blocks are smaller, each twice the one before, so that computing begins while the next is being decoded.
    """
    block: list[DecodedObject] = []
    seconds, enough_s = 0.0, min(resources.first_block_s, resources.block_s)
    for item in objects:
        block.append(item)
        seconds += item.held_s
        if seconds >= enough_s:
            yield block
            block, seconds, enough_s = [], 0.0, min(2 * enough_s, resources.block_s)
    if block:
        yield block


def _time_waits(objects: Iterator[DecodedObject], counts: Counts) -> Iterator[DecodedObject]:
    """Yield `objects`, and add to `counts.read_s` the time spent waiting for reading and decoding."""
    while True:
        started = time.perf_counter()
        item = next(objects, None)
        counts.read_s += time.perf_counter() - started
        if item is None:
            return
        yield item
