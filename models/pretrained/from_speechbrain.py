"""Conversion of SpeechBrain's published models, with SpeechBrain's own loaders, once they are known to hold no code.

The loaders read a copy: `hyperparams.yaml` that passed `models.pretrained.hyperparams.check`, checkpoints rewritten
from their tensors alone, and the label file. A `custom_interface.py` beside them is neither copied nor run.
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from data_contracts.errors import ModelError
from models.data.emotion_labels import emotion_named
from models.pretrained import checkpoint, hyperparams
from models.pretrained.ecapa import EcapaEncoder
from models.pretrained.emotion import write_pretrained_emotion
from models.pretrained.extractor import build_config, import_transformers
from models.pretrained.speaker import PretrainedSpeaker
from models.pretrained.wav2vec2_shapes import infer_config
from models.speechbrain_compat import speechbrain_importable

THRESHOLD = 0.25  # SpeechBrain's own, of its SpeakerRecognition
CALIBRATION = (10.0, -2.5)  # even odds at the threshold; the slope is a convention, not measured
_YAML = "hyperparams.yaml"
_ENCODER = "wav2vec2"


def is_speechbrain(folder: Path) -> bool:
    """Return whether the folder holds SpeechBrain's `hyperparams.yaml`."""
    return (folder / _YAML).is_file()


def detect_name(folder: Path) -> str:
    """Return `speaker` or `emotion`, by the folder's checkpoints. Raises ModelError where it is neither."""
    if (folder / "embedding_model.ckpt").is_file():
        return "speaker"
    if (folder / f"{_ENCODER}.ckpt").is_file() and (folder / "model.ckpt").is_file():
        return "emotion"
    found = ", ".join(sorted(path.name for path in folder.glob("*.ckpt"))) or "no .ckpt"
    raise ModelError(
        f"expected embedding_model.ckpt (a speaker encoder) or {_ENCODER}.ckpt and model.ckpt (an emotion model) in "
        f"{folder}, found {found}"
    )


def convert_speaker(folder: Path, *, training: dict[str, Any]) -> PretrainedSpeaker:
    """Return the ECAPA-TDNN, loaded by `EncoderClassifier.from_hparams`, with SpeechBrain's threshold."""
    hyperparams.check(folder / _YAML)
    values = hyperparams.read_values(folder / _YAML)
    with speechbrain_importable():
        from speechbrain.inference.classifiers import EncoderClassifier
        from speechbrain.utils.fetching import LocalStrategy
    with tempfile.TemporaryDirectory() as place:
        clean = _copy_without_code(folder, Path(place) / "clean")
        overrides = {"pretrained_path": str(clean)} if "pretrained_path" in values else {}
        try:
            model = EncoderClassifier.from_hparams(
                source=str(clean), overrides=overrides, local_strategy=LocalStrategy.NO_LINK, savedir=str(clean)
            )
        except Exception as error:  # any error of the library on unknown hyperparameters
            raise ModelError(f"SpeechBrain cannot load {folder}: {type(error).__name__}: {error}") from error
    norm = values.get("mean_var_norm", {})
    if norm.get("norm_type") != "sentence" or norm.get("std_norm", True):
        raise ModelError(
            f"expected mean_var_norm by sentence without std_norm in {folder / _YAML}, as SpeechBrain publishes its "
            f"speaker encoders; found {norm}"
        )
    weights: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.mods.embedding_model.state_dict().items()}
    encoder = EcapaEncoder(_arguments(values, "compute_features"), _arguments(values, "embedding_model"), weights)
    return PretrainedSpeaker(
        encoder,
        threshold=THRESHOLD,
        calibration=CALIBRATION,
        training=training,
    )


def convert_emotion(
    folder: Path,
    into: Path,
    *,
    training: dict[str, Any],
    encoder_from: Callable[[str, Path], object] | None = None,  # fetches the encoder's configuration from the hub
) -> None:
    """Write a folder for `PretrainedEmotion`: wav2vec2, its mean over time, and one linear layer."""
    values = hyperparams.read_values(folder / _YAML)
    if values.get("avg_pool", {}).get("return_std", True):
        raise ModelError(f"expected avg_pool with return_std: False in {folder / _YAML}: only means are read")
    with tempfile.TemporaryDirectory() as place:
        state = checkpoint.read(folder / f"{_ENCODER}.ckpt")
        config, preprocessor = _encoder_config(folder, values, state, Path(place) / "hub", encoder_from)
        norm_output = bool(values.get(_ENCODER, {}).get("output_norm", False))
        weights, norm_input = _load_encoder(folder, config, preprocessor, Path(place), norm_output=norm_output)
    head = checkpoint.read(folder / "model.ckpt")
    weight = [value for name, value in head.items() if name.endswith("weight")]
    bias = [value for name, value in head.items() if name.endswith("bias")]
    if len(weight) != 1 or len(bias) > 1:
        raise ModelError(f"expected one linear layer in {folder / 'model.ckpt'}, found {', '.join(head)}")
    labels = _labels(folder, n=len(weight[0]))
    write_pretrained_emotion(
        into,
        kind="speechbrain-wav2vec2",
        extractor={
            "shape": "encoder",
            "transformers": config,
            "preprocessor": None,
            "norm_input": norm_input,
            "norm_output": norm_output,
        },
        weights=weights,
        head=[(weight[0], bias[0] if bias else None)],
        labels=[(label, emotion_named(label)) for label in labels],
        training=training,
    )


def _load_encoder(
    folder: Path, config: dict[str, Any], preprocessor: dict[str, Any], place: Path, *, norm_output: bool
) -> tuple[dict[str, Tensor], bool]:
    """Return the encoder's weights as SpeechBrain's wrapper holds them, and whether it normalises its input."""
    logging.getLogger("speechbrain.integrations").setLevel(logging.ERROR)  # it warns that it is frozen, as asked
    with import_transformers() as transformers:
        from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
        from speechbrain.utils.checkpoints import torch_recovery

        source = place / "encoder"
        transformers.AutoModel.from_config(build_config(config)).save_pretrained(source)
        (source / "preprocessor_config.json").write_text(json.dumps(preprocessor))
        wrapper = Wav2Vec2(str(source), save_path=str(place / "cache"), output_norm=norm_output, freeze=True)
        clean = place / f"{_ENCODER}.ckpt"
        checkpoint.rewrite(folder / clean.name, clean)
        try:
            torch_recovery(wrapper, clean, end_of_epoch=True)
        except RuntimeError as error:
            raise ModelError(f"{folder / clean.name} does not fit its encoder's configuration: {error}") from error
        weights = {name: value.detach().clone() for name, value in wrapper.model.state_dict().items()}
        return weights, bool(wrapper.normalize_wav)


def _encoder_config(
    folder: Path,
    values: dict[str, Any],
    state: dict[str, Tensor],
    hub: Path,
    encoder_from: Callable[[str, Path], object] | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return configuration and preprocessor of the wav2vec2: the folder's, the hub's, or inferred from the shapes."""
    source = str(values.get("wav2vec2_hub", ""))
    place = folder / _ENCODER
    if not (place / "config.json").is_file() and encoder_from is not None and source:
        encoder_from(source, hub)
        place = hub
    preprocessor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": True}
    if not (place / "config.json").is_file():
        return infer_config({name.removeprefix("model."): value for name, value in state.items()}), preprocessor
    try:
        config = json.loads((place / "config.json").read_text())
        path = place / "preprocessor_config.json"
        preprocessor |= json.loads(path.read_text()) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise ModelError(f"expected the encoder's config.json in {place}: {error}") from error
    config = json.loads(build_config(config).to_json_string(use_diff=False))
    dropped = {"dtype", "torch_dtype", "_name_or_path"}
    return {key: value for key, value in config.items() if key not in dropped}, preprocessor


def _labels(folder: Path, *, n: int) -> list[str]:
    path = folder / "label_encoder.txt"
    with speechbrain_importable():
        from speechbrain.dataio.encoder import CategoricalEncoder
    encoder = CategoricalEncoder()
    try:
        if not encoder.load_if_possible(path):
            raise ModelError(f"expected {path.name} in {folder}: it names the classes")
        encoder.ignore_len()
        return [str(encoder.ind2lab[index]) for index in range(n)]
    except (ValueError, SyntaxError, KeyError, OSError) as error:
        raise ModelError(f"expected {n} labels with their numbers in {path}: {error}") from error


def _arguments(values: dict[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    if not isinstance(found, dict):
        raise ModelError(f"expected {name} in {_YAML}, with the arguments of its layer")
    return {key: value for key, value in found.items() if key != "device"}


def _copy_without_code(folder: Path, target: Path) -> Path:
    target.mkdir()
    shutil.copy(folder / _YAML, target)
    for path in folder.glob("*.ckpt"):
        checkpoint.rewrite(path, target / path.name)
    for path in folder.glob("label_encoder.*"):
        shutil.copy(path, target / ("label_encoder.ckpt" if path.suffix == ".txt" else path.name))
        shutil.copy(path, target / path.name)
    return target
