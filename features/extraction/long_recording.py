"""Extraction of long recordings: surveyed once, extracted by several tasks, a range of time each, and put together.

survey(recording) -> extract_range(range) … -> assemble(recording). The stored rows are the same as if the recording had
been read whole; no task holds more than a few windows of it. Intermediate results lie in the lake's staging.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.lake import Lake
from data_contracts.records import Counts, ShardRef
from data_contracts.rejects import Reason, Reject
from data_contracts.schema.feature_sets import RECORDING_FEATURES
from features.corpus import shard_plan
from features.corpus.object_cache import fetch_shared
from features.decode import process_pool
from features.decode.config import SAMPLE_RATE
from features.decode.windows import Window
from features.extraction.config import FeatureConfig
from features.extraction.shard import best_device, empty_tables, write_tables
from features.extraction.tables import count_recordings, object_columns, quality_columns
from features.extraction.utterances import Embedders, Utterance, compute_features, split_by_voice
from features.quality.measures import Measures
from features.resources import Resources
from features.segmentation.cutting import cut_spans, window_range
from features.segmentation.segments import Span
from features.segmentation.speech import ChannelSpeech, StreamingDetector

_BLOCK_S = 300.0  # of speech whose features are computed together


@dataclass(frozen=True)
class LongRef:
    """A surveyed long recording: a shard of its own, and the number of ranges of time in which it is extracted."""

    shard: ShardRef
    folder: str  # of its parts, below the lake's root
    n_ranges: int


def survey(
    lake: Lake, shard: ShardRef, folder: str, *, config: FeatureConfig, resources: Resources, counts: Counts
) -> LongRef:
    """Find a recording's speech and measure it, window by window; a reject has no ranges."""
    (item,), place = shard_plan.read_plan(lake, shard), f"{folder}/{shard.id}"
    started = time.perf_counter()
    recording_id: str | None = None
    speech: dict[int, ChannelSpeech] = {}
    with fetch_shared(item, resources.retry_policy) as fetched:
        measures: Measures | Reject
        if isinstance(fetched, Reject):
            measures = fetched
        else:
            recording_id = fetched.sha256
            measures, speech = _detect_speech(fetched.content, config=config, resources=resources)
    counts.vad_s += time.perf_counter() - started
    _write_recording(
        lake, place, object_columns(item) | {"recording_id": recording_id} | quality_columns(measures, speech)
    )
    spans = sorted((span.start_s, span.end_s, channel) for channel in speech for span in speech[channel].spans)
    ranges = [int(start_s // resources.long_s) for start_s, *_ in spans]
    gains_db, mixed = (measures.gains_db, measures.mixed) if isinstance(measures, Measures) else ({}, ())
    found = {"spans": spans, "ranges": ranges, "gains_db": gains_db, "mixed": mixed}
    lake.write_json(f"{place}/survey.json", found)
    return LongRef(shard, place, max(ranges, default=-1) + 1)


def write_survey_reject(lake: Lake, shard: ShardRef, folder: str, reject: Reject) -> LongRef:
    """Write the survey of a recording that `survey` failed on: a reject without ranges."""
    (item,), place = shard_plan.read_plan(lake, shard), f"{folder}/{shard.id}"
    _write_recording(lake, place, object_columns(item) | {"recording_id": None} | quality_columns(reject, {}))
    return LongRef(shard, place, 0)


def extract_range(
    lake: Lake, ref: LongRef, number: int, *, config: FeatureConfig, embedders: Embedders, resources: Resources
) -> Counts:
    """Compute the features of the utterances that begin in one range of time, and write them beside the others'."""
    counts, tables = Counts(), empty_tables(embedders, config)
    surveyed, recording_id = lake.read_json(f"{ref.folder}/survey.json"), _recording(lake, ref)["recording_id"]
    spans = [
        (int(channel), Span(start_s, end_s))
        for (start_s, end_s, channel), in_range in zip(surveyed["spans"], surveyed["ranges"], strict=True)
        if in_range == number
    ]
    (item,), device = shard_plan.read_plan(lake, ref.shard), best_device()
    with fetch_shared(item, resources.retry_policy) as fetched:
        if isinstance(fetched, Reject):
            return reject_range(lake, ref, number, fetched)
        if fetched.sha256 != recording_id:
            return reject_range(
                lake, ref, number, Reject(Reason.VANISHED, "it was overwritten while it was being read")
            )
        items = process_pool.decode_windows(
            fetched.content,
            config=config.audio,
            resources=resources,
            only=window_range(span for _, span in spans),
            gains_db={int(channel): gain for channel, gain in surveyed["gains_db"].items()},
            mixed=surveyed["mixed"],
        )
        with closing(items):
            for block in _blocks(cut_spans(items, spans), recording_id):
                if isinstance(block, Reject):
                    return reject_range(lake, ref, number, block)
                voices = split_by_voice(block, embedders, config=config.changes, device=device)
                compute_features(voices, tables, config=config, embedders=embedders, device=device, counts=counts)
    for feature_set, table in tables.arrow().items():
        if feature_set != "recordings":
            lake.write_parquet(_part(ref, number, feature_set), table)
    return counts


def assemble(
    lake: Lake, ref: LongRef, *, version: str, config: FeatureConfig, embedders: Embedders, replace: bool
) -> Counts:
    """Write the recording's shard from its parts, as if it had been read whole. May be repeated."""
    counts, row, started = Counts(), _recording(lake, ref), time.perf_counter()
    rejects = [name for name in lake.names(ref.folder) if name.startswith("gone-")]
    if rejects:
        reject = lake.read_json(f"{ref.folder}/{rejects[0]}")
        row |= quality_columns(Reject(**{**reject, "reason": Reason(reject["reason"])}), {})
    empty = empty_tables(embedders, config).arrow()
    numbers = range(0 if rejects else ref.n_ranges)
    tables = {
        name: pa.concat_tables([table, *(lake.read_parquet(_part(ref, number, name)) for number in numbers)])
        for name, table in empty.items()
        if name != "recordings"
    }
    tables = _sort_segments(tables)
    row["n_segments"] = tables["segments"].num_rows
    tables["recordings"] = pa.Table.from_pylist([row], schema=RECORDING_FEATURES)
    write_tables(lake, tables, ref.shard, version=version, config=config, replace=replace)
    counts.write_s += time.perf_counter() - started
    return count_recordings(counts, [row])


def _detect_speech(
    content: bytes | Path, *, config: FeatureConfig, resources: Resources
) -> tuple[Measures | Reject, dict[int, ChannelSpeech]]:
    detectors: dict[int, StreamingDetector] = {}
    with closing(process_pool.decode_windows(content, config=config.audio, resources=resources)) as items:
        for item in items:
            if isinstance(item, Window):
                detectors.setdefault(item.channel, StreamingDetector(config.vad, best_device())).add(item.samples)
            elif isinstance(item, Reject):
                return item, {}
            else:
                return item, {channel: detectors[channel].finish() for channel in item.channels}
    raise AssertionError("unreachable: a whole recording ends with its measures or a reject")


def reject_range(lake: Lake, ref: LongRef, number: int, reject: Reject) -> Counts:
    """Record that a range cannot be read or extracted: the whole recording becomes a reject."""
    lake.write_json(f"{ref.folder}/gone-{number}.json", asdict(reject))
    return Counts()


def _part(ref: LongRef, number: int, feature_set: str) -> str:
    return f"{ref.folder}/part={number}/{feature_set}.parquet"


def _write_recording(lake: Lake, place: str, row: dict[str, Any]) -> None:
    lake.write_parquet(f"{place}/recording.parquet", pa.Table.from_pylist([row], schema=RECORDING_FEATURES))


def _recording(lake: Lake, ref: LongRef) -> dict[str, Any]:
    return dict(lake.read_parquet(f"{ref.folder}/recording.parquet").to_pylist()[0])


def _blocks(cuts: Iterable[tuple[int, Span, Any] | Reject], recording_id: str) -> Iterator[list[Utterance] | Reject]:
    block: list[Utterance] = []
    for item in cuts:
        if isinstance(item, Reject):
            yield item
            return
        channel, span, samples = item
        block.append(Utterance(recording_id, channel, span, samples))
        if sum(len(utterance.waveform) for utterance in block) >= _BLOCK_S * SAMPLE_RATE:
            yield block
            block = []
    if block:
        yield block


def _sort_segments(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Sort by channel and time, and number segments anew: each part had begun with 0."""
    segments = tables["segments"]
    order = pc.sort_indices(segments, [("channel", "ascending"), ("start_s", "ascending")])
    channels = segments["channel"].take(order).to_pylist()
    firsts = {channel: channels.index(channel) for channel in set(channels)}
    numbers = pa.array([place - firsts[channel] for place, channel in enumerate(channels)], pa.int32())
    field = segments.schema.get_field_index("segment")
    return {
        name: (rows := table.take(order)).set_column(field, rows.schema.field(field), numbers)
        for name, table in tables.items()
    }
