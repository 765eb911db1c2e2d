"""Speaker change detection on mixtures of real clips: recall, precision, false cuts and purity.

    .venv/bin/python tests/bench/speaker_changes.py CORPORA_DIR [--voices training] [--different SHARE…] [--crops]

CORPORA_DIR holds labels.csv (path, corpus, speaker, gender, emotion). The voices are those that the shipped encoder was
not trained on, or with `--voices training` the others, on which `features.segmentation.speaker_changes` chose its
threshold; `--different` tries others, `--crops` embeds every window by itself instead of computing the frames once.
Files of each corpus and kind (`mixtures.py` makes them), through the pipeline's own voice activity detection:

two voices     turns of 2 to 6 s of two speakers of one corpus, each in a mood drawn for it, gaps of 0, 0.1 and 0.3 s
one voice      the same of one speaker, one mood a file
moods          of one speaker, each turn in another mood than the one before
whole          a clip as it is (LibriSpeech: 12 s)

All turns have the same level; the gap is noise as loud as the turn's quietest frames. Recall: of the changes that lie
within a segment (others the detection of speech has found already), those with a cut within 0.5 s; precision: of the
cuts, those within 0.5 s of a change; false: cuts a minute where one voice speaks. Purity: the share of the seconds
whose segment is mostly their own speaker's.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mixtures import Mixture, Pool, mixture
from tables import print_head, print_row

from data_contracts.fingerprint import digest
from features.decode.config import SAMPLE_RATE
from features.decode.recording import Decoded, decode
from features.extraction.shard import find_speech_spans
from features.segmentation.config import VadConfig
from features.segmentation.segments import Span
from features.segmentation.speaker_changes import ChangeConfig, SlidingEmbedder, split_at_changes
from models.data.labelled_speech import Speech, read_speech
from models.data.labels_file import read_labels
from models.data.speaker_overlap import overlapping_speakers
from models.speaker.model import SpeakerModel
from models.speaker.sliding import sliding_by_crops

TOLERANCE_S, GAPS_S = 0.5, (0.0, 0.1, 0.3)
HEADS = ("voices", "files", "minutes", "changes (in a segment)", "recall", "precision", "false a minute", "purity")
CPU = torch.device("cpu")


@dataclass
class Tally:
    """Results over some files."""

    n_changes: int = 0
    n_within: int = 0  # a segment, before cutting
    n_found: int = 0
    n_right: int = 0
    n_cuts: int = 0
    minutes: float = 0.0
    pure_s: dict[str, float] = field(default_factory=lambda: {"before": 0.0, "after": 0.0})

    def add(self, mixture: Mixture, before: list[Span], after: list[Span]) -> None:
        known = {span.start_s for span in before} | {span.end_s for span in before}
        cuts = np.array([span.start_s for span in after if span.start_s not in known])
        changes = np.array(mixture.changes_s)
        within = np.array([change for change in changes if not _near(change, np.array(sorted(known)))])
        self.n_changes += len(changes)
        self.n_within += len(within)
        self.n_found += sum(_near(change, cuts) for change in within)
        self.n_right += sum(_near(cut, changes) for cut in cuts)
        self.n_cuts += len(cuts)
        self.minutes += sum(span.end_s - span.start_s for span in before) / 60
        for name, spans in (("before", before), ("after", after)):
            self.pure_s[name] += sum(_pure_s(span, mixture) for span in spans)

    @property
    def recall(self) -> float:
        return self.n_found / max(1, self.n_within)

    @property
    def precision(self) -> float:
        return self.n_right / max(1, self.n_cuts)

    def purity(self, name: str) -> float:
        return self.pure_s[name] / (60 * self.minutes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--model", type=Path, default=Path(__file__).parents[2] / "models" / "weights" / "speaker")
    parser.add_argument("--voices", choices=("held-out", "training"), default="held-out")
    parser.add_argument("--different", type=float, nargs="+", default=[ChangeConfig().different])
    parser.add_argument("--crops", action="store_true")
    parser.add_argument("--files", type=int, default=90, help="of each kind and corpus")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = SpeakerModel.load(options.model)
    clips = [clip for clip in read_labels([options.corpora]) if clip.speaker]
    with (options.corpora / "labels.csv").open() as file:
        sexes = {row["speaker"]: row.get("gender", "") for row in csv.DictReader(file)}
    speech = list(read_speech(clips, VadConfig(pad_s=0.0)))
    seen = overlapping_speakers(options.model, [item.clip for item in speech], [item.recording_id for item in speech])
    chosen = [item for item in speech if (item.clip.speaker in seen) == (options.voices == "training")]
    embed_sliding = _make_embedder(model, crops=options.crops)
    config = ChangeConfig(same_voice=round(model.threshold, 3))
    print(f"encoder {model.extractor_digest}, {options.voices} voices, same voice from {config.same_voice}\n")
    cached = _cache_embeddings(embed_sliding)
    files = dict(_files(chosen, sexes, options.files))
    before = {key: find_speech_spans([item.waveform for item in made], VadConfig(), CPU) for key, made in files.items()}
    for different in options.different:
        setting = replace(config, different=different)
        after = {key: _split(made, before[key], cached, setting) for key, made in files.items()}
        _report(files, before, after, different=different)
    _cost(model, embed_sliding, [item for item in chosen if len(item.waveform) > 5 * SAMPLE_RATE] or chosen, config)


def _files(speech: list[Speech], sexes: dict[str, str], n: int) -> Iterator[tuple[tuple[str, str], list[Mixture]]]:
    """By corpus and kind."""
    for corpus in sorted({item.clip.corpus for item in speech}):
        own = [item for item in speech if item.clip.corpus == corpus]
        random = np.random.default_rng(0)
        pool = Pool(own)
        made = partial(mixture, pool, sexes, random)
        yield (corpus, "two voices"), [made(2, moods=True, gap_s=GAPS_S[i % 3]) for i in range(n)]
        yield (corpus, "one voice"), [made(1, moods=False, gap_s=GAPS_S[i % 3]) for i in range(n)]
        if any(len(moods) > 1 for moods in pool.moods.values()):
            yield (corpus, "moods"), [made(1, moods=True, gap_s=GAPS_S[i % 3]) for i in range(n)]
        whole = [Mixture(_decoded(item), [item.clip.speaker], []) for item in own]
        yield (corpus, "whole"), [whole[place] for place in random.permutation(len(whole))[: 4 * n]]


def _decoded(item: Speech) -> np.ndarray:
    audio = decode(item.clip.path.read_bytes())
    if not isinstance(audio, Decoded):
        raise SystemExit(f"{item.clip.path} does not decode any more")
    return audio.waveform


def _make_embedder(model: SpeakerModel, *, crops: bool) -> SlidingEmbedder:
    def frames(*asked: Any) -> list[list[np.ndarray]]:
        return [[vectors.numpy() for vectors in row] for row in model.sliding_embeddings(*asked)]

    def cropped(waveform: Any, lengths: Any, windows_s: Any, hop_s: float) -> list[list[np.ndarray]]:
        return sliding_by_crops(
            lambda *cut: model.embed(*cut).numpy(), waveform, lengths, windows_s=windows_s, hop_s=hop_s
        )

    return cropped if crops else frames


def _cache_embeddings(embed_sliding: SlidingEmbedder) -> SlidingEmbedder:
    """Hears every batch once: another threshold asks for the same."""
    known: dict[str, list[list[np.ndarray]]] = {}

    def cached(waveform: torch.Tensor, *asked: Any) -> list[list[np.ndarray]]:
        name = digest(waveform.numpy().tobytes())
        if name not in known:
            known[name] = embed_sliding(waveform, *asked)
        return known[name]

    return cached


def _split(
    made: list[Mixture], spans: list[list[Span]], embed_sliding: SlidingEmbedder, config: ChangeConfig
) -> list[list[Span]]:
    waveforms = {str(place): item.waveform for place, item in enumerate(made)}
    found = split_at_changes(
        waveforms, dict(zip(waveforms, spans, strict=True)), embed_sliding, config=config, device=CPU
    )
    return list(found.values())


def _report(
    files: dict[tuple[str, str], list[Mixture]],
    before: dict[tuple[str, str], list[list[Span]]],
    after: dict[tuple[str, str], list[list[Span]]],
    *,
    different: float,
) -> None:
    rows: dict[tuple[str, str], Tally] = {}
    for key, made in files.items():
        corpus, kind = key
        for item, spans, cut in zip(made, before[key], after[key], strict=True):
            names = [(corpus, kind)]
            if kind == "two voices":
                sexes = "both sexes" if item.both_sexes else "one sex"
                names += [("all", f"two voices, gap {item.gap_s:g} s"), ("all", f"two voices, {sexes}")]
            for name in names:
                rows.setdefault(name, Tally()).add(item, spans, cut)
    print(f"different: {different:g}\n")
    print_head(*HEADS)
    for (corpus, kind), tally in sorted(rows.items(), key=lambda row: (row[0][0] == "all", row[0])):
        print_row(corpus, kind, f"{tally.minutes:.1f}", _figures(tally))
    print(flush=True)


def _figures(tally: Tally) -> str:
    if not tally.n_changes:
        return f" | | | {tally.n_cuts / tally.minutes:.2f} ({tally.n_cuts}) | "
    return (
        f"{tally.n_changes} ({tally.n_within}) | {tally.recall:.2f} | {tally.precision:.2f} | | "
        f"{tally.purity('before'):.3f} to {tally.purity('after'):.3f}"
    )


def _cost(model: SpeakerModel, embed_sliding: SlidingEmbedder, speech: list[Speech], config: ChangeConfig) -> None:
    """On segments of 10 s, the best of five."""
    joined = np.concatenate([item.waveform for item in speech])
    size = 10 * SAMPLE_RATE
    segments = np.resize(joined, (16, size)).astype(np.float32)
    waveforms = {str(place): segment for place, segment in enumerate(segments)}
    spans = {key: [Span(0.0, 10.0)] for key in waveforms}
    batch, lengths = torch.from_numpy(segments), torch.full((16,), size)
    took: dict[str, list[float]] = {"to find changes": [], "beside them, the embeddings of the segments": []}
    for _ in range(5):
        for name, what in zip(
            took,
            (
                lambda: split_at_changes(waveforms, spans, embed_sliding, config=config, device=CPU),
                lambda: model.embed(batch, lengths),
            ),
            strict=True,
        ):
            started = time.perf_counter()
            what()
            took[name].append(time.perf_counter() - started)
    for name, seconds in took.items():
        print(f"{min(seconds) / 160 * 1000:.2f} ms a second of speech {name}")


def _near(time_s: float, others_s: np.ndarray) -> bool:
    return bool(len(others_s) and np.abs(others_s - time_s).min() <= TOLERANCE_S)


def _pure_s(span: Span, mixture: Mixture) -> float:
    """Seconds of a segment that are of the speaker who has most of it."""
    edges = np.array([0.0, *mixture.edges_s, np.inf])
    held: dict[str, float] = {}
    for name, start, end in zip(mixture.turns, edges, edges[1:], strict=False):
        held[name] = held.get(name, 0.0) + max(0.0, min(span.end_s, end) - max(span.start_s, start))
    return max(held.values())


if __name__ == "__main__":
    main()
