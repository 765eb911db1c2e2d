"""Movement of segments, features and scores where a recording differs by what nobody hears, or hardly.

    .venv/bin/python tests/bench/inaudible.py CORPORA_DIR [--clips N] [--before WEIGHTS]

N clips of Emo-DB and RAVDESS, on which the shipped emotion weights were trained, and of LibriSpeech, on which they were
not. Each is written again with an offset, rumble, hum, another gain, a pause before it, other bits, another rate; all
are read as the pipeline reads them, and the speech of a clip is scored by itself. A cell says how it was, with
`dc = none` (and the emotion weights of the folder WEIGHTS), and how it is by default.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from corpora import speech
from inaudible_twins import LEAD_S, TWINS, wav
from tables import print_head, print_machine, print_row

from features.decode.config import SAMPLE_RATE, AudioConfig
from features.decode.recording import decode
from features.dsp.gemaps import EGEMAPS_NAMES
from features.quality.snr import snr_db
from features.segmentation.config import VadConfig
from features.segmentation.segments import Span
from features.segmentation.speech import detect_speech, speech_mask
from models import WEIGHTS
from models.emotion.dataset import emotion_features
from models.emotion.model import EmotionModel
from models.speaker.model import SpeakerModel
from models.speaker.trials import embed_all

CORPORA = ("emodb", "ravdess", "librispeech_train-clean-100")
MOST_S = 6
COLUMNS = (
    *(f"another emotion, {name}" for name in ("Emo-DB", "RAVDESS", "LibriSpeech")),
    *("scores", "95%", "eGeMAPS", "95%", "contours", "95%", "cosine", "5%"),
    *("edges, s", "other segments", "SNR, dB", "loudness, LU"),
)


@dataclass(frozen=True)
class Reading:
    """What is read of one twin of every clip, row for row."""

    spans: list[list[Span]]
    quality: np.ndarray  # (clips, 2): SNR, loudness
    features: torch.Tensor  # (clips, features), in training's deviations
    vectors: np.ndarray  # (clips, dim)
    scores: np.ndarray  # (clips, classes)


@dataclass(frozen=True)
class Reader:
    """The pipeline's way from a file to scores."""

    config: AudioConfig
    emotion: EmotionModel
    speaker: SpeakerModel

    def read(self, files: list[bytes]) -> Reading:
        decoded = [decode(data, config=self.config) for data in files]
        waveforms = [audio.waveform for audio in decoded]
        activities = detect_speech(waveforms, VadConfig(), torch.device("cpu"))
        spans, spoken, quality = [], [], []
        for audio, waveform, activity in zip(decoded, waveforms, activities, strict=True):
            found = activity.spans(seconds=audio.seconds, config=VadConfig())
            pieces = [waveform[round(s.start_s * SAMPLE_RATE) : round(s.end_s * SAMPLE_RATE)] for s in found]
            spans.append(found)
            spoken.append(np.concatenate(pieces) if pieces else np.zeros(SAMPLE_RATE, np.float32))
            snr = snr_db(activity.powers, speech_mask(found, len(activity.powers)))
            quality.append([np.nan if value is None else value for value in (snr, audio.measures.loudness_lufs)])
        features = emotion_features(spoken)
        scores = self.emotion.scores(features).numpy()
        standardised, vectors = self.emotion.standardise(features), embed_all(self.speaker, spoken)
        return Reading(spans, np.array(quality), standardised, vectors, scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--before", type=Path, default=WEIGHTS / "emotion")
    options = parser.parse_args()
    torch.set_num_threads(1)
    speaker = SpeakerModel.load(WEIGHTS / "speaker")
    readers = (
        Reader(AudioConfig(dc="none"), EmotionModel.load(options.before), speaker),
        Reader(AudioConfig(), EmotionModel.load(WEIGHTS / "emotion"), speaker),
    )
    clips = [0.9 * clip[: MOST_S * SAMPLE_RATE] for corpus in CORPORA for clip in speech(corpus, options.clips)]
    place = np.repeat(range(len(CORPORA)), options.clips)
    print_machine()
    clean = [reader.read([wav(clip) for clip in clips]) for reader in readers]
    print_head("twin", *COLUMNS)
    for name, make in TWINS.items():
        files, lead_s = [make(clip) for clip in clips], LEAD_S if "before" in name else 0.0
        twins = [reader.read(files) for reader in readers]
        before, after = (cells(*both, place, lead_s) for both in zip(clean, twins, strict=True))
        print_row(name, *(f"{old}, {new}" for old, new in zip(before, after, strict=True)))


def cells(clean: Reading, twin: Reading, place: np.ndarray, lead_s: float) -> list[str]:
    """Return the columns of a row: the shares of clips with another emotion, and how far things moved."""
    changed = clean.scores.argmax(1) != twin.scores.argmax(1)
    moved = np.abs(clean.scores - twin.scores).max(1)
    apart = (clean.features - twin.features).abs().numpy()
    cosines = (clean.vectors * twin.vectors).sum(1)
    n = len(EGEMAPS_NAMES)
    figures = [
        *(value for part in (moved, apart[:, :n], apart[:, n:]) for value in (part.mean(), np.quantile(part, 0.95))),
        np.median(cosines),
        np.quantile(cosines, 0.05),
    ]
    edges_s, others = np.array([*_moved_edges(clean, twin, lead_s)]), _n_other_segments(clean, twin)
    quality = np.nanmean(np.abs(clean.quality - twin.quality), axis=0)
    return [
        *(f"{changed[place == number].mean():.0%}" for number in range(len(CORPORA))),
        *(f"{value:.3f}" for value in (*figures, edges_s.mean())),
        str(others),
        *(f"{value:.1f}" for value in quality),
    ]


def _moved_edges(clean: Reading, twin: Reading, lead_s: float) -> Iterator[float]:
    for one, other in zip(clean.spans, twin.spans, strict=True):
        if len(one) == len(other):
            for a, b in zip(one, other, strict=True):
                yield from (abs(a.start_s + lead_s - b.start_s), abs(a.end_s + lead_s - b.end_s))


def _n_other_segments(clean: Reading, twin: Reading) -> int:
    return sum(len(one) != len(other) for one, other in zip(clean.spans, twin.spans, strict=True))


if __name__ == "__main__":
    main()
