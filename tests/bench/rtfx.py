"""Speed of the shipped models: times real time on one core, part by part.

    .venv/bin/python tests/bench/rtfx.py [--seconds 600]

Utterances of 1 to 15 s of noise with a tone; speed does not depend on the content. The emotion model's cost is that of
its features: the 88 functionals and the statistics of contours, and the networks over them with two speakers a minute.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from corpora import ROOT
from tables import print_head, print_machine, print_row

from features.dsp.batching import pad_batch, sorted_batches
from features.dsp.gemaps import egemaps_and_lld
from features.dsp.suprasegmentals import suprasegmental
from models.emotion.model import EmotionModel
from models.speaker.model import SpeakerModel

RATE = 16_000
WEIGHTS = ROOT / "models" / "weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    utterances = made(options.seconds)
    audio_s = sum(map(len, utterances)) / RATE
    emotion, speaker = EmotionModel.load(WEIGHTS / "emotion"), SpeakerModel.load(WEIGHTS / "speaker")
    batches = [
        pad_batch([utterances[index] for index in batch], torch.device("cpu"))
        for batch in sorted_batches([len(utterance) for utterance in utterances], max_samples=160 * RATE)
    ]
    described: list[torch.Tensor] = []

    def features() -> None:
        described.clear()
        for waveform, lengths in batches:
            functionals, contours = egemaps_and_lld(waveform, lengths)
            described.append(torch.cat([functionals, suprasegmental(waveform, lengths, contours)], dim=1))

    def scores() -> None:
        values = torch.cat(described)
        emotion.scores(values, [f"speaker{index // 30}" for index in range(len(values))])

    def embeddings() -> None:
        for waveform, lengths in batches:
            speaker.embed(waveform, lengths)

    print_machine()
    print(f"data: {len(utterances)} utterances made here, {audio_s / 60:.1f} min; one thread\n")
    print_head("model", "part", "seconds", "x real time")
    features_s, scores_s, embeddings_s = seconds(features), seconds(scores), seconds(embeddings)
    for model, part, spent in (
        ("emotion", "features", features_s),
        ("emotion", "networks, adapted to speakers", scores_s),
        ("emotion", "the whole", features_s + scores_s),
        ("speaker", "the whole", embeddings_s),
    ):
        print_row(model, part, f"{spent:.2f}", f"{audio_s / spent:.0f}")


def made(total_s: float) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    utterances, left_s = [], total_s
    while left_s > 0:
        n = int(RATE * min(left_s + 1, random.uniform(1, 15)))
        tone = np.sin(2 * np.pi * random.uniform(80, 300) * np.arange(n) / RATE)
        utterances.append((0.2 * tone + 0.05 * random.standard_normal(n)).astype(np.float32))
        left_s -= n / RATE
    return utterances


def seconds(work: Callable[[], None]) -> float:
    """The better of two, after one to warm up on."""
    work()
    spent = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return min(spent)


if __name__ == "__main__":
    main()
