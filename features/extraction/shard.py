"""Stage 3: extract_block(recordings) <- extract_shard(shard). From a shard's audio to its feature files."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

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
    """What a shard's extraction did, and which of its members last so long that they are shards of their own."""

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
    """Reads, decodes, finds speech, computes, and writes one Parquet file a feature set. Returns what it counted.

    Rejected files become rows with their reason. The same content twice in a shard is computed once. Long recordings
    are left out (`features.extraction.long_recording`). A shard that another run finished meanwhile stays as it is,
    unless it is to be replaced.
    """
    done, tables, resources = ShardExtraction(), empty_tables(embedders, config), resources.settled()
    device, members = best_device(), shard_plan.read_plan(lake, shard)
    quality: dict[str, dict[str, object]] = {}  # by content
    for block in _blocks(
        _timed(fetch_ahead(members, config=config.audio, resources=resources), done.counts), resources
    ):
        fresh = {
            item.sha256: item.audio
            for item in block
            if item.sha256 and isinstance(item.audio, Decoded) and item.sha256 not in quality
        }
        heard = extract_block(fresh, tables, config=config, embedders=embedders, device=device, counts=done.counts)
        for item in block:
            if isinstance(item.audio, LongRecording):
                done.long.append(item.item)
                done.counts.n_long += 1
                continue
            content = item.sha256 or item.item.uri
            if content in quality:
                done.counts.n_duplicates += 1
            else:
                measured = item.audio.measures if isinstance(item.audio, Decoded) else item.audio
                quality[content] = quality_columns(measured, heard.get(content, {}))
            tables.recordings.append(object_columns(item.item) | {"recording_id": item.sha256} | quality[content])
    if tables.recordings:
        started = time.perf_counter()
        write_tables(lake, tables.arrow(), shard, version=version, config=config, replace=replace)
        done.counts.write_s += time.perf_counter() - started
    count_recordings(done.counts, tables.recordings)
    return done


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
    """Writes a shard that cannot be read: all its members are that reject."""
    tables = empty_tables(embedders, config)
    columns = {"recording_id": None} | quality_columns(reject, {})
    tables.recordings += [object_columns(item) | columns for item in shard_plan.read_plan(lake, shard)]
    write_tables(lake, tables.arrow(), shard, version=version, config=config, replace=replace)
    return count_recordings(Counts(), tables.recordings)


def write_tables(
    lake: Lake, tables: dict[str, pa.Table], shard: ShardRef, *, version: str, config: FeatureConfig, replace: bool
) -> None:
    """Writes a shard, unless it is done; by force again, unless the store of audio fails now: what was read stays."""
    failed = any(reason in RETRYABLE for reason in tables["recordings"]["reason"].to_pylist())
    if (failed or not replace) and shard_files.is_done(lake, version, shard.date, shard.id):
        return
    shard_files.write_shard(lake, tables, version=version, date=shard.date, shard=shard.id, configuration=repr(config))
    if replace:
        for feature_set in tables:
            packs.take_apart(lake, shard_files.folder(feature_set, version, shard.date), shard.id)


def empty_tables(embedders: Embedders, config: FeatureConfig) -> ShardTables:
    """Empty, with all the feature sets that are to be filled."""
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
    """Finds the speech of some recordings and adds each utterance's features to `tables`.

    Returns what was heard, by recording and channel.
    """
    started = time.perf_counter()
    signals = [
        (recording_id, channel, waveform)
        for recording_id, decoded in recordings.items()
        for channel, waveform in decoded.waveforms.items()
    ]
    found = detect_speech([waveform for *_, waveform in signals], config.vad, device)
    utterances = [
        Utterance(recording_id, channel, span, cut_span(waveform, span))
        for (recording_id, channel, waveform), sound in zip(signals, found, strict=True)
        for span in sound.spans(seconds=len(waveform) / SAMPLE_RATE, config=config.vad)
    ]
    listened = time.perf_counter()
    utterances = split_by_voice(utterances, embedders, config=config.changes, device=device)
    counts.vad_s += listened - started
    counts.embed_s += time.perf_counter() - listened
    heard: dict[str, dict[int, ChannelSpeech]] = {recording_id: {} for recording_id in recordings}
    for (recording_id, channel, _), sound in zip(signals, found, strict=True):
        heard[recording_id][channel] = ChannelSpeech(sound, [])
    for utterance in utterances:
        heard[utterance.recording_id][utterance.channel].spans.append(utterance.span)
    compute_features(utterances, tables, config=config, embedders=embedders, device=device, counts=counts)
    return heard


def find_speech_spans(waveforms: Sequence[np.ndarray], config: VadConfig, device: torch.device) -> list[list[Span]]:
    """Speech segments of each (time,) waveform, found in batches of similar length."""
    return [
        heard.spans(seconds=len(waveform) / SAMPLE_RATE, config=config)
        for waveform, heard in zip(waveforms, detect_speech(waveforms, config, device), strict=True)
    ]


def _blocks(fetched: Iterable[DecodedObject], resources: Resources) -> Iterator[list[DecodedObject]]:
    """Groups of about `block_s` seconds of decoded audio: what is in memory at a time.

    The first are smaller, each twice the one before: computing begins while the next is being decoded.
    """
    block: list[DecodedObject] = []
    seconds, enough_s = 0.0, min(resources.first_block_s, resources.block_s)
    for item in fetched:
        block.append(item)
        seconds += item.held_s
        if seconds >= enough_s:
            yield block
            block, seconds, enough_s = [], 0.0, min(2 * enough_s, resources.block_s)
    if block:
        yield block


def _timed(fetched: Iterator[DecodedObject], counts: Counts) -> Iterator[DecodedObject]:
    """Adds to `counts.read_s` what the compute had to wait for reading and decoding."""
    while True:
        started = time.perf_counter()
        item = next(fetched, None)
        counts.read_s += time.perf_counter() - started
        if item is None:
            return
        yield item
