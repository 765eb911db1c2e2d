"""Checks of SpeechBrain's `hyperparams.yaml`, which may name any Python object and have it called.

`check` lets through only what builds the layers of a published encoder; `read_values` reads values and builds nothing.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from data_contracts.errors import ModelError

_ALLOWED_CLASSES = {
    "speechbrain.dataio.encoder.CategoricalEncoder",
    "speechbrain.lobes.features.Fbank",
    "speechbrain.lobes.models.ECAPA_TDNN.Classifier",
    "speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN",
    "speechbrain.nnet.linear.Linear",
    "speechbrain.nnet.pooling.StatisticsPooling",
    "speechbrain.processing.features.InputNormalization",
    "speechbrain.utils.parameter_transfer.Pretrainer",
    "torch.nn.ModuleList",
}
_VALUE_TAGS = {"!ref", "!tuple", "!copy", "!PLACEHOLDER"}  # HyperPyYAML's own, which build nothing
_REFERENCE = re.compile(r"<([^<>]+)>")


def check(path: Path) -> None:
    """Raise ModelError where the file names anything but the allowed classes, or cannot be read."""
    text = _text(path)
    if re.search(r"^%", text, re.MULTILINE):
        raise ModelError(f"expected no YAML directive in {path}, found one: it could rename the tags that are checked")
    for tag in _tags(path, text):
        kind, _, target = tag.partition(":")
        if (
            tag in _VALUE_TAGS
            or (kind == "!new" and target in _ALLOWED_CLASSES)
            or tag.startswith("tag:yaml.org,2002:str")
        ):
            continue
        raise ModelError(
            f"{path} asks for {tag!r}, which would run code that its folder chooses; allowed are !ref and !new of "
            f"{', '.join(sorted(_ALLOWED_CLASSES))}. If you trust it, load it yourself and train a head on what it "
            "computes"
        )


def read_values(path: Path) -> dict[str, Any]:
    """Return the file's values: references resolved, and the arguments in place of each object to build.

    Raises ModelError where the file is no YAML of names and values.
    """
    try:
        found = yaml.load(_text(path), Loader=_ValueLoader)
    except yaml.YAMLError as error:
        raise ModelError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"expected names and values in {path}, found {type(found).__name__}")
    return {key: _resolve(value, found, depth=0) for key, value in found.items()}


class _ValueLoader(yaml.SafeLoader):  # type: ignore[misc]
    """Loader that replaces every tag of HyperPyYAML by the data behind it."""


def _construct_data(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) or {}  # an object without arguments


_ValueLoader.add_multi_constructor("!", _construct_data)


def _resolve(value: Any, known: dict[str, Any], *, depth: int) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(item, known, depth=depth) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, known, depth=depth) for item in value]
    if not isinstance(value, str) or depth > 9:
        return value
    whole = _REFERENCE.fullmatch(value.strip())
    if whole and whole[1] in known:
        return _resolve(known[whole[1]], known, depth=depth + 1)
    return _REFERENCE.sub(lambda found: str(_resolve(known.get(found[1], found[0]), known, depth=depth + 1)), value)


def _tags(path: Path, text: str) -> list[str]:
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ModelError(f"{path} cannot be read as YAML: {error}") from error
    return [event.tag for event in events if getattr(event, "tag", None)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"expected SpeechBrain's hyperparams.yaml in {path.parent}: {error}") from error
