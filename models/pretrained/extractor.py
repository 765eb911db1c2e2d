"""Extractor of a pretrained emotion model: a network of `transformers`, from an utterance to the head's input.

Two shapes of network. `classifier`: any audio-classification model of the library without its last linear layer.
`encoder`: a speech encoder whose hidden states are averaged over time, as SpeechBrain's and audeering's models do.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data_contracts.errors import ModelError
from models.speechbrain_compat import speechbrain_importable

SAMPLE_RATE = 16_000
_MIN_SAMPLES = 1_600  # shorter utterances are padded, or the first convolutions find no frame


class Extractor:
    """Network built from plain values (`spec`) and tensors; no file of the model's folder is run.

    `spec`: `shape` (classifier, encoder), `transformers` (the network's configuration), `build_preprocessor` (of the
    library's feature extractors), `head` (the name of the removed layer), `norm_input`, `norm_output` (SpeechBrain's
    layer norms over the whole utterance). Raises ModelError where they do not fit each other.
    """

    def __init__(self, spec: dict[str, Any], weights: dict[str, Tensor]) -> None:
        self.spec = spec
        with import_transformers() as transformers:
            config = build_config(spec["transformers"])
            self.preprocessor = build_preprocessor(spec["preprocessor"]) if spec["preprocessor"] else None
            try:
                if spec["shape"] == "classifier":
                    network = transformers.AutoModelForAudioClassification.from_config(config)
                    network.set_submodule(spec["head"], nn.Identity())
                else:
                    network = transformers.AutoModel.from_config(config)
                network.load_state_dict({name: value.float() for name, value in weights.items()})
            except (RuntimeError, ValueError, AttributeError) as error:
                raise ModelError(f"the extractor's weights do not fit its configuration: {error}") from error
        self.network: nn.Module = network.eval()

    @torch.inference_mode()
    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
    ) -> Tensor:  # (batch, dim) float32
        """Return a vector a row, row by row: norms and convolutions would see the padding of a batch."""
        self.network.to(waveform.device)
        rows = [self._embed_one(row[:length]) for row, length in zip(waveform, lengths.tolist(), strict=True)]
        return torch.stack(rows)

    def _embed_one(self, samples: Tensor) -> Tensor:  # (time,) to (dim,)
        samples = F.pad(samples, (0, max(0, _MIN_SAMPLES - len(samples))))
        output = self.network(self._preprocess(samples))
        if self.spec["shape"] == "classifier":
            vector: Tensor = output.logits[0]
            return vector
        hidden: Tensor = output.last_hidden_state
        if self.spec.get("norm_output"):
            hidden = F.layer_norm(hidden, hidden.shape[1:])
        return hidden[0].mean(0)

    def _preprocess(self, samples: Tensor) -> Tensor:
        if self.preprocessor is None:
            return F.layer_norm(samples, samples.shape)[None] if self.spec.get("norm_input") else samples[None]
        inputs = self.preprocessor(samples.cpu().numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt")
        values: Tensor = next(inputs[name] for name in ("input_values", "input_features") if name in inputs)
        return values.to(samples.device)


@contextlib.contextmanager
def import_transformers() -> Iterator[Any]:
    """Import `transformers`, an optional extra, and silence it. Raises ModelError where it is not installed."""
    with speechbrain_importable():  # its spectrograms import torchaudio
        try:
            import transformers
        except ImportError as error:
            raise ModelError(
                "a model of this kind needs the library transformers, which is not installed here: "
                "pip install 'undertone[hub]', on the workers too"
            ) from error
        before = transformers.logging.get_verbosity()
        transformers.logging.set_verbosity(logging.ERROR)
        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            yield transformers
        finally:
            transformers.logging.set_verbosity(before)


def build_config(values: dict[str, Any]) -> Any:
    """Return the library's own configuration object; `auto_map`, which names code of the folder, is ignored."""
    with import_transformers() as transformers:
        kept = {key: value for key, value in values.items() if key not in {"auto_map", "transformers_version"}}
        kind = kept.pop("model_type", None)
        if kind not in transformers.CONFIG_MAPPING:
            raise ModelError(f"expected a model_type that transformers knows, found {kind!r}")
        return transformers.AutoConfig.for_model(kind, **kept)


def build_preprocessor(values: dict[str, Any]) -> Any:
    """Return the library's own feature extractor, by the name of its class."""
    with import_transformers() as transformers:
        name = str(values.get("feature_extractor_type", ""))
        extractor_class = getattr(transformers, name, None) if name.endswith("FeatureExtractor") else None
        if extractor_class is None:
            raise ModelError(f"expected a feature extractor that transformers knows, found {name!r}")
        rate = values.get("sampling_rate", SAMPLE_RATE)
        if rate != SAMPLE_RATE:
            raise ModelError(f"expected a model for {SAMPLE_RATE} Hz, found one for {rate} Hz")
        kept = {key: value for key, value in values.items() if key not in {"auto_map", "feature_extractor_type"}}
        return extractor_class(**kept)
