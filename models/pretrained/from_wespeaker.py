"""Conversion of WeSpeaker's ResNet speaker encoders, as WeSpeaker and pyannote publish them, read as tensors only.

WeSpeaker: `config.yaml` and `avg_model.pt`, a dictionary of tensors. pyannote: `config.yaml` and `pytorch_model.bin`, a
checkpoint of Lightning whose tensors are named `resnet.…`.
"""

from pathlib import Path
from typing import Any

import yaml

from data_contracts.errors import ModelError
from models.pretrained import checkpoint
from models.pretrained.resnet import ResnetEncoder
from models.pretrained.speaker import PretrainedSpeaker
from models.wespeaker.weights import from_state

THRESHOLD = 0.4  # 1% of the pairs of strangers among 194 readers of LibriSpeech lie above 0.396
CALIBRATION = (10.0, -4.0)  # even odds at the threshold; the slope is a convention, not measured
_CONFIG = "config.yaml"
_CHECKPOINTS = ("avg_model.pt", "pytorch_model.bin")
_INPUT = {  # what `models.wespeaker.fbank` computes; what a file leaves out is so by default
    "sample_rate": 16_000,
    "resample_rate": 16_000,
    "num_channels": 1,
    "frame_length": 25,
    "frame_shift": 10,
    "window_type": "hamming",
    "use_energy": False,
    "snip_edges": True,
    "round_to_power_of_two": True,
    "fbank_centering_span": None,
    "frontend": "fbank",
    "norm_mean": True,
    "norm_var": False,
    "pooling_func": "TSTP",
    "two_emb_layer": False,
}


def is_wespeaker(folder: Path) -> bool:
    """Return whether the folder holds a `config.yaml` and one of the checkpoints beside it."""
    return (folder / _CONFIG).is_file() and any((folder / name).is_file() for name in _CHECKPOINTS)


def convert_speaker(folder: Path, *, training: dict[str, Any]) -> PretrainedSpeaker:
    """Return the encoder, with a threshold that nobody has measured. Raises ModelError where it is another network."""
    path = next(folder / name for name in _CHECKPOINTS if (folder / name).is_file())
    described = _described(folder / _CONFIG)
    tensors, hyperparameters = checkpoint.read_lightning(path)
    settings = described | _flat(hyperparameters)
    for name, expected in _INPUT.items():
        if settings.get(name, expected) != expected:
            raise ModelError(
                f"expected {name} {expected} in {folder / _CONFIG}, as WeSpeaker trains its ResNets on VoxCeleb; found "
                f"{settings[name]}. Such an encoder would hear something else: pull one of the others"
            )
    tensors = {name.removeprefix("resnet."): value for name, value in tensors.items()}
    network = from_state(tensors, n_bands=int(settings.get("num_mel_bins", settings.get("feat_dim", 80))), path=path)
    return PretrainedSpeaker(ResnetEncoder(network), threshold=THRESHOLD, calibration=CALIBRATION, training=training)


def licence_of(folder: Path, source: str) -> str | None:
    """Return the licence of an encoder whose folder states none: that of VoxCeleb, where it was trained on it.

    WeSpeaker's list of models (docs/pretrained.md in its repository) says that each has the licence of its data.
    """
    words = f"{source} {(folder / _CONFIG).read_text(encoding='utf-8', errors='replace')}".lower()
    return "CC BY 4.0" if "voxceleb" in words or "pyannote" in words else None


def _described(path: Path) -> dict[str, Any]:
    """Return the plain values of `config.yaml`, sections merged. Raises ModelError where it describes no ResNet."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(f"expected plain YAML in {path}: {error}; fetch the model again") from error
    settings = _flat(found if isinstance(found, dict) else {})
    name = str(settings.get("model", settings.get("_target_", ""))).rpartition(".")[2].removeprefix("WeSpeaker")
    if name not in ("ResNet18", "ResNet34"):
        raise ModelError(
            f"expected a ResNet18 or ResNet34 of WeSpeaker in {path}, found {name or 'no model'}. Pull "
            "pyannote/wespeaker-voxceleb-resnet34-LM, or an ECAPA-TDNN of SpeechBrain"
        )
    return settings


def _flat(section: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a section and of those within it."""
    values: dict[str, Any] = {}
    for name, value in section.items():
        values |= _flat(value) if isinstance(value, dict) else {name: value}
    return values
