"""Sets of verification for `answers.py`: voices that no shipped model learns from, and how well encoders part them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from peers import resemblyzer_embeddings

from data_contracts.fingerprint import digest
from features.decode.config import SAMPLE_RATE
from models.data.kept_out import is_kept_out
from models.data.labelled_speech import Speech, read_speech
from models.data.labels_file import Clip, read_labels
from models.pretrained.from_wespeaker import CALIBRATION, THRESHOLD
from models.pretrained.resnet import ResnetEncoder
from models.pretrained.speaker import PretrainedSpeaker
from models.speaker.score_norm import cosines
from models.speaker.trials import Utterances, pair_trials
from models.wespeaker.weights import load_ort

HERE = Path(__file__).parent
_PIECE_S = 3.0  # LibriSpeech's single clips are cut
_SETS: dict[str, tuple[str, Callable[[str], bool], int]] = {
    "LibriSpeech, kept out": ("librispeech_train-clean-100", is_kept_out, 1),
    "RAVDESS": ("ravdess", bool, 10),
    "Emo-DB": ("emodb", bool, 10),
    "FSDD digits": ("fsdd", bool, 40),
    "Speech Commands, kept out": ("speech_commands", is_kept_out, 3),
}
"""By name: the corpus in labels.csv, which of its speakers, and how many clips of each are drawn.

RAVDESS and FSDD teach no shipped encoder; Emo-DB does, but for the voice kept out: it stands for what was heard.
"""


def read_sets(folders: list[Path]) -> dict[str, list[Speech]]:
    """Return each set's speech, as the pipeline's detection of speech finds it."""
    clips = read_labels(folders)
    return {name: _read(clips, *chosen) for name, chosen in _SETS.items()}


def _read(clips: list[Clip], corpus: str, is_chosen: Callable[[str], bool], n_clips: int) -> list[Speech]:
    by_speaker: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.corpus == corpus and clip.speaker and is_chosen(clip.speaker):
            by_speaker.setdefault(clip.speaker, []).append(clip)
    random = np.random.default_rng(0)
    drawn = [own[int(place)] for own in by_speaker.values() for place in sorted(random.permutation(len(own))[:n_clips])]
    return [piece for item in read_speech(drawn) for piece in (_pieces(item) if n_clips == 1 else [item])]


def _pieces(item: Speech) -> Iterator[Speech]:
    n = max(1, len(item.waveform) // round(_PIECE_S * SAMPLE_RATE))
    for piece in np.array_split(item.waveform, n):
        yield Speech(item.clip, item.recording_id, piece)


def judge(sets: Mapping[str, list[Speech]], encoders: Mapping[str, Any], cache: Path) -> dict[str, dict[str, Any]]:
    """Return, by encoder and set, the EER of all pairs by cosine, and the same with the set's mean taken away."""
    answers: dict[str, dict[str, Any]] = {}
    for encoder, embed in encoders.items():
        for name, speech in sets.items():
            waveforms = [item.waveform for item in speech]
            vectors = _cached(cache, encoder, waveforms, embed)
            answers.setdefault(encoder, {})[name] = {
                "eer": round(_eer(vectors, speech), 4),
                "eer_centred": round(_eer(_unit(vectors - vectors.mean(0)), speech), 4),
                "n_voices": len({item.clip.speaker for item in speech}),
                "n_utterances": len(speech),
            }
    return answers


def _eer(vectors: np.ndarray, speech: list[Speech]) -> float:
    columns = [np.array([getattr(item.clip, name) for item in speech]) for name in ("speaker", "corpus", "emotion")]
    return pair_trials(Utterances(_unit(vectors), *columns), cosines).eer()


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)


def _cached(cache: Path, encoder: str, waveforms: list[np.ndarray], embed: Any) -> np.ndarray:
    name = digest(encoder.encode() + b"".join(wave.tobytes() for wave in waveforms), 16)
    path = cache / f"{name}.npy"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(path, embed(waveforms))
    return np.load(path)


def by_folder(folder: Path, checkout: Path) -> Callable[[list[np.ndarray]], np.ndarray]:
    """Return a function that embeds with a model's folder, on the code of a checkout."""

    def embed(waveforms: list[np.ndarray]) -> np.ndarray:
        with tempfile.TemporaryDirectory() as scratch:
            source, target = Path(scratch) / "waveforms.npz", Path(scratch) / "vectors.npy"
            np.savez(source, *waveforms)
            command = [sys.executable, "-W", "ignore", HERE / "speaker_vectors.py", folder, source, target]
            environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            return np.load(target)

    return embed


def pulled_folder(place: Path, work: Path) -> Path:
    """Return the folder of a pulled encoder; of an `.ort` file with WeSpeaker's ResNet34, one made of it in `work`."""
    if place.suffix != ".ort":
        return place
    folder = work / place.stem
    if not folder.is_dir():
        encoder = ResnetEncoder(load_ort(place))
        PretrainedSpeaker(encoder, threshold=THRESHOLD, calibration=CALIBRATION, training={}).save(folder)
    return folder


def by_resemblyzer(python: str) -> Callable[[list[np.ndarray]], np.ndarray]:
    """Return a function that embeds with Resemblyzer, installed by hand into another Python."""
    return lambda waveforms: resemblyzer_embeddings(waveforms, python)[1]
