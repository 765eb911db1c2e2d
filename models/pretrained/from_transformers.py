"""Conversion of audio-classification models of `transformers` into extractor and head.

Also the layout of audeering's dimensional models (`Wav2Vec2ForSpeechClassification`: the encoder's mean over time, a
dense layer, tanh, and another linear layer), which the library itself does not know.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from data_contracts.errors import ModelError
from models.data.emotion_labels import emotion_named
from models.pretrained import checkpoint, emotion
from models.pretrained.extractor import SAMPLE_RATE, build_config, build_preprocessor, import_transformers

_SPEECH_HEAD = ("classifier.dense.weight", "classifier.out_proj.weight")
_DIMENSION_NAMES = {name: name for name in emotion.DIMENSIONS} | {"activation": "arousal", "pleasure": "valence"}
_AS_WAVEFORM = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": True}


def is_transformers(folder: Path) -> bool:
    """Return whether the folder holds a `config.json`."""
    return (folder / "config.json").is_file()


def convert_emotion(folder: Path, into: Path, *, training: dict[str, Any]) -> None:
    """Write a folder for `PretrainedEmotion`. Raises ModelError for an architecture that is no audio classifier."""
    values = _read_config(folder)
    with import_transformers() as transformers:
        known = set(transformers.models.auto.modeling_auto.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES.values())
    architecture = (values.get("architectures") or [""])[0]
    state = checkpoint.transformers_weights(folder)
    has_speech_head = all(name in state for name in _SPEECH_HEAD)
    if architecture not in known and not has_speech_head:
        raise ModelError(
            f"expected an audio-classification model in {folder}: one of {', '.join(sorted(known))}, or "
            f"Wav2Vec2ForSpeechClassification with classifier.dense and classifier.out_proj; found "
            f"{architecture or 'none'}"
        )
    split = _split_speech_head if has_speech_head else _split_classifier
    spec, weights, head = split(values, state, _preprocessor_config(folder, values))
    labels = output_labels(values, n=_n_outputs(head))
    emotion.write_pretrained_emotion(
        into,
        kind="transformers",
        extractor=spec,
        weights=weights,
        head=head,
        labels=labels,
        training=training,
        multilabel=values.get("problem_type") == "multi_label_classification",
    )


def output_labels(values: Mapping[str, Any], *, n: int) -> list[tuple[str, str]]:
    """Return the model's label and ours, by output. Raises ModelError unless there are `n` different ones."""
    labels = values.get("id2label") or {}
    words = [str(labels.get(str(index), labels.get(index, f"LABEL_{index}"))) for index in range(n)]
    plain = ["_".join(word.casefold().split()) for word in words]
    if all(word in _DIMENSION_NAMES for word in plain):
        ours = [_DIMENSION_NAMES[word] for word in plain]
    elif values.get("problem_type") == "regression":
        raise ModelError(
            f"expected a regression's outputs to be called {', '.join(emotion.DIMENSIONS)} in id2label, found "
            f"{', '.join(words)}: name them in the folder's config.json"
        )
    else:
        ours = [emotion_named(word) for word in words]
        ours = [name if ours.count(name) == 1 else word for name, word in zip(ours, plain, strict=True)]
    if len(set(ours)) != n or not all(ours) or set(ours) & {"sum"}:
        raise ModelError(f"expected {n} labels that differ in id2label, found {', '.join(words)}")
    return list(zip(words, ours, strict=True))


Head = Sequence[tuple[Tensor, Tensor | None] | str]


def _split_classifier(
    values: dict[str, Any], state: dict[str, Tensor], preprocessor: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor], Head]:
    with import_transformers() as transformers:
        network = _load_network(transformers.AutoModelForAudioClassification, values, state)
    name, layer = _last_layer(network, preprocessor)
    network.set_submodule(name, nn.Identity())
    spec = {
        "shape": "classifier",
        "head": name,
        "transformers": _config_values(network.config),
        "preprocessor": preprocessor,
    }
    bias = None if layer.bias is None else layer.bias.data
    return spec, dict(network.state_dict()), [(layer.weight.data, bias)]


def _split_speech_head(
    values: dict[str, Any], state: dict[str, Tensor], preprocessor: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor], Head]:
    pooling = values.get("pooling_mode", "mean")
    if pooling != "mean":
        raise ModelError(f"expected pooling_mode mean, which audeering's models have; found {pooling!r}")
    head = {key: value for key, value in state.items() if key.startswith("classifier.")}
    with import_transformers() as transformers:
        encoder = {key: value for key, value in state.items() if key not in head}
        network = _load_network(transformers.AutoModel, values, encoder)
    spec = {"shape": "encoder", "transformers": _config_values(network.config), "preprocessor": preprocessor}
    layers = [
        (head[f"classifier.{name}.weight"], head.get(f"classifier.{name}.bias")) for name in ("dense", "out_proj")
    ]
    return spec, dict(network.state_dict()), [layers[0], "tanh", layers[1]]


def _load_network(kind: Any, values: dict[str, Any], state: dict[str, Tensor]) -> nn.Module:
    """Load with the library's own loader, which knows the names of older versions, from tensors alone."""
    with tempfile.TemporaryDirectory() as place:
        save_file(
            {name: value.contiguous().clone() for name, value in state.items()},
            Path(place) / "model.safetensors",
            metadata={"format": "pt"},
        )
        config = build_config(values)
        config.save_pretrained(place)
        network, info = kind.from_pretrained(
            place,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    missing = sorted(name for name in info["missing_keys"] if "masked_spec_embed" not in name)
    if missing:
        raise ModelError(
            f"expected all weights of {type(network).__name__}, found none for {', '.join(missing[:3])} "
            f"({len(missing)} in all): this folder is not a trained classifier"
        )
    evaluated: nn.Module = network.eval()
    return evaluated


def _last_layer(network: Any, preprocessor: dict[str, Any]) -> tuple[str, nn.Linear]:
    """Return the linear layer that puts out the logits, found by one forward pass."""
    outputs: dict[str, Tensor] = {}
    linear = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear)}
    hooks = [
        layer.register_forward_hook(lambda _layer, _args, out, name=name: outputs.update({name: out}))
        for name, layer in linear.items()
    ]
    noise = torch.randn(SAMPLE_RATE, generator=torch.Generator().manual_seed(0)).numpy() * 0.1
    inputs = build_preprocessor(preprocessor)(noise, sampling_rate=SAMPLE_RATE, return_tensors="pt")
    with torch.inference_mode():
        logits = network(next(inputs[name] for name in ("input_values", "input_features") if name in inputs)).logits
    for hook in hooks:
        hook.remove()
    found = [name for name, out in outputs.items() if out.shape == logits.shape and torch.equal(out, logits)]
    if not found:
        raise ModelError(
            f"expected {type(network).__name__} to end in a linear layer over one vector an utterance; found none, so "
            "its cost could not be paid once"
        )
    return found[-1], linear[found[-1]]


def _preprocessor_config(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Return the plain values of the folder's feature extractor; defaults for a model of waveforms without one."""
    path = folder / "preprocessor_config.json"
    try:
        stored = json.loads(path.read_text()) if path.is_file() else dict(_AS_WAVEFORM)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not path.is_file() and "conv_dim" not in values:
        raise ModelError(f"expected {path.name} in {folder}: a model of spectrograms does not say how to make them")
    if "feature_extractor_type" not in stored:
        stored["feature_extractor_type"] = _AS_WAVEFORM["feature_extractor_type"]
    stored = {key: value for key, value in stored.items() if key not in {"auto_map", "processor_class"}}
    plain = build_preprocessor(stored).to_dict()
    return json.loads(json.dumps({key: value for key, value in plain.items() if key not in {"mel_filters", "window"}}))  # type: ignore[no-any-return]


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"expected a config.json of transformers in {folder}: {error}") from error
    if not isinstance(values, dict) or "model_type" not in values:
        raise ModelError(f"expected model_type in {folder / 'config.json'}: it is not a configuration of transformers")
    return values


def _config_values(config: Any) -> dict[str, Any]:
    values = json.loads(config.to_json_string(use_diff=False))
    return {key: value for key, value in values.items() if key not in {"dtype", "torch_dtype", "_name_or_path"}}


def _n_outputs(head: Head) -> int:
    (*_, last) = (step for step in head if not isinstance(step, str))
    return int(last[0].shape[0])
