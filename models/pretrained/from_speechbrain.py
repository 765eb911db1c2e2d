"""SpeechBrain's published folders, read with SpeechBrain's own loaders once they are known to hold no code.

What reaches a loader is a copy: `hyperparams.yaml` that `models.pretrained.hyperparams.check` let through, checkpoints
rewritten from nothing but their tensors, the label file. A `custom_interface.py` beside them is neither copied nor run.
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
from models.pretrained.emotion import write_pretrained_emotion
from models.pretrained.extractor import build_config, import_transformers
from models.pretrained.speaker import PretrainedSpeaker
from models.pretrained.wav2vec2_shapes import infer_config
from models.speechbrain_compat import speechbrain_importable

THRESHOLD = 0.25  # SpeechBrain's own, of its SpeakerRecognition
CALIBRATION = (10.0, -2.5)  # a half at the threshold; the slope is a convention, not measured
_YAML = "hyperparams.yaml"
_ENCODER = "wav2vec2"


def is_speechbrain(folder: Path) -> bool:
    return (folder / _YAML).is_file()


def detect_name(folder: Path) -> str:
    """`speaker` or `emotion`, by the checkpoints that the folder holds. Raises ModelError where it is neither."""
    if (folder / "embedding_model.ckpt").is_file():
        return "speaker"
    if (folder / f"{_ENCODER}.ckpt").is_file() and (folder / "model.ckpt").is_file():
        return "emotion"
    held = ", ".join(sorted(path.name for path in folder.glob("*.ckpt"))) or "no .ckpt"
    raise ModelError(
        f"expected embedding_model.ckpt (a speaker encoder) or {_ENCODER}.ckpt and model.ckpt (an emotion model) in "
        f"{folder}, found {held}"
    )


def convert_speaker(folder: Path, *, training: dict[str, Any]) -> PretrainedSpeaker:
    """The ECAPA-TDNN, through `EncoderClassifier.from_hparams`, with SpeechBrain's threshold."""
    hyperparams.check(folder / _YAML)
    values = hyperparams.read_values(folder / _YAML)
    with speechbrain_importable():
        from speechbrain.inference.classifiers import EncoderClassifier
        from speechbrain.utils.fetching import LocalStrategy
    with tempfile.TemporaryDirectory() as place:
        clean = _copy_without_code(folder, Path(place) / "clean")
        here = {"pretrained_path": str(clean)} if "pretrained_path" in values else {}
        try:
            model = EncoderClassifier.from_hparams(
                source=str(clean), overrides=here, local_strategy=LocalStrategy.NO_LINK, savedir=str(clean)
            )
        except Exception as error:  # whatever another's hyperparameters make of another's library
            raise ModelError(f"SpeechBrain cannot load {folder}: {type(error).__name__}: {error}") from error
    normed = values.get("mean_var_norm", {})
    if normed.get("norm_type") != "sentence" or normed.get("std_norm", True):
        raise ModelError(
            f"expected mean_var_norm by sentence without std_norm in {folder / _YAML}, as SpeechBrain publishes its "
            f"speaker encoders; found {normed}"
        )
    weights: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.mods.embedding_model.state_dict().items()}
    return PretrainedSpeaker(
        _arguments(values, "compute_features"),
        _arguments(values, "embedding_model"),
        weights,
        threshold=THRESHOLD,
        calibration=CALIBRATION,
        training=training,
    )


def convert_emotion(
    folder: Path,
    into: Path,
    *,
    training: dict[str, Any],
    encoder_from: Callable[[str, Path], object] | None = None,  # brings the encoder's configuration from the hub
) -> None:
    """Writes a folder for `PretrainedEmotion`: wav2vec2, its mean over time, and one linear layer."""
    values = hyperparams.read_values(folder / _YAML)
    if values.get("avg_pool", {}).get("return_std", True):
        raise ModelError(f"expected avg_pool with return_std: False in {folder / _YAML}: only means are read")
    with tempfile.TemporaryDirectory() as place:
        state = checkpoint.read(folder / f"{_ENCODER}.ckpt")
        config, shown = _encoder_config(folder, values, state, Path(place) / "hub", encoder_from)
        norm_output = bool(values.get(_ENCODER, {}).get("output_norm", False))
        weights, norm_input = _load_encoder(folder, config, shown, Path(place), norm_output=norm_output)
    head = checkpoint.read(folder / "model.ckpt")
    weight = [value for name, value in head.items() if name.endswith("weight")]
    bias = [value for name, value in head.items() if name.endswith("bias")]
    if len(weight) != 1 or len(bias) > 1:
        raise ModelError(f"expected one linear layer in {folder / 'model.ckpt'}, found {', '.join(head)}")
    words = _labels(folder, n=len(weight[0]))
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
        labels=[(word, emotion_named(word)) for word in words],
        training=training,
    )


def _load_encoder(
    folder: Path, config: dict[str, Any], shown: dict[str, Any], place: Path, *, norm_output: bool
) -> tuple[dict[str, Tensor], bool]:
    """The encoder's weights as SpeechBrain's wrapper holds them, and whether it levels what it hears."""
    logging.getLogger("speechbrain.integrations").setLevel(logging.ERROR)  # it warns that it is frozen, as asked
    with import_transformers() as transformers:
        from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
        from speechbrain.utils.checkpoints import torch_recovery

        source = place / "encoder"
        transformers.AutoModel.from_config(build_config(config)).save_pretrained(source)
        (source / "preprocessor_config.json").write_text(json.dumps(shown))
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
    """Configuration and preprocessor of the wav2vec2: the folder's, else the hub's, else as the weights' shapes say."""
    named = str(values.get("wav2vec2_hub", ""))
    beside = folder / _ENCODER
    if not (beside / "config.json").is_file() and encoder_from is not None and named:
        encoder_from(named, hub)
        beside = hub
    shown = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": True}
    if not (beside / "config.json").is_file():
        return infer_config({name.removeprefix("model."): value for name, value in state.items()}), shown
    try:
        config = json.loads((beside / "config.json").read_text())
        told = beside / "preprocessor_config.json"
        shown |= json.loads(told.read_text()) if told.is_file() else {}
    except (OSError, ValueError) as error:
        raise ModelError(f"expected the encoder's config.json in {beside}: {error}") from error
    config = json.loads(build_config(config).to_json_string(use_diff=False))
    return {key: value for key, value in config.items() if key not in {"dtype", "torch_dtype", "_name_or_path"}}, shown


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


def _copy_without_code(folder: Path, to: Path) -> Path:
    to.mkdir()
    shutil.copy(folder / _YAML, to)
    for path in folder.glob("*.ckpt"):
        checkpoint.rewrite(path, to / path.name)
    for path in folder.glob("label_encoder.*"):
        shutil.copy(path, to / ("label_encoder.ckpt" if path.suffix == ".txt" else path.name))
        shutil.copy(path, to / path.name)
    return to
