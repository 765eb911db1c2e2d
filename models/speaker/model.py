"""Speaker model: a small ECAPA-TDNN from an utterance to a unit vector, close for one voice, distant for others.

Utterance -> windows of two seconds -> the encoder (`models.speaker.encoder`) -> their mean, of unit length.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from data_contracts.errors import ModelError
from data_contracts.fingerprint import digest
from features.dsp.batching import chunk_size
from features.dsp.mel import MelConfig
from models.data import training_set
from models.speaker.encoder import EncoderConfig, build_network, cut_windows, spectrogram
from models.speaker.log_odds import LogOdds
from models.speaker.pyfunc import SpeakerPyfunc
from models.speaker.score_norm import Cohort, cosines
from models.speaker.sliding import sliding_embeddings

_COHORT = "cohort"  # beside the encoder's weights, in one file
_CENTRE_DIGITS = 5
_WINDOWS_PER_BATCH = {"cpu": 64, "cuda": 1024}  # bounds the memory of a long utterance


class SpeakerModel:
    """Speaker encoder with the threshold and calibration of its scores.

    `threshold`: the cosine above which two voices are the same. `calibration` (slope, offset): the probability that
    they are is sigmoid(slope * cosine + offset). `log_odds` tell it by cosine and durations; None of a model trained
    before they were fitted. `cohort`: the strangers that `scores` are relative to where `normalised`. `centre`, (dim,):
    the mean embedding of training's voices, zeros of a model trained before it was taken. `extractor_digest` names the
    encoder alone: with another threshold the embeddings, and so the stored features, stay the same. `trained_on` holds
    the first 12 hex digits of the SHA-256 of every training recording.
    """

    def __init__(
        self,
        encoder: nn.Module,
        config: EncoderConfig,
        *,
        threshold: float,
        calibration: tuple[float, float],
        training: dict[str, Any] | None = None,
        recordings: Iterable[str] = (),
        cohort: Cohort | None = None,
        normalised: bool = False,
        log_odds: LogOdds | None = None,
        centre: np.ndarray | None = None,
    ) -> None:
        self.encoder = encoder.eval()
        self.config = config
        self.threshold, self.calibration = threshold, calibration
        self.training = training or {}
        self.trained_on = frozenset(recordings)
        self.dim = config.dim
        self.cohort, self.normalised = cohort, normalised
        self.centre = np.zeros(config.dim, np.float32) if centre is None else np.asarray(centre, np.float32)
        self.log_odds = log_odds

    @torch.inference_mode()
    def embed(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
    ) -> Tensor:  # (batch, dim), float32 of unit length, on the waveform's device
        """Return an embedding a row. Rows of any lengths may share a batch; samples beyond `lengths` are ignored."""
        self.encoder.to(waveform.device)
        cut, row, _ = cut_windows(waveform, lengths, size=self.config.window)
        total = waveform.new_zeros(len(waveform), self.dim)
        step = chunk_size(_WINDOWS_PER_BATCH, waveform.device)
        for part in (slice(first, first + step) for first in range(0, len(row), step)):
            vectors = self.encoder(spectrogram(cut[part], self.config)).squeeze(1)
            total.index_add_(0, row[part], nn.functional.normalize(vectors))
        return nn.functional.normalize(total)

    def sliding_embeddings(
        self,
        waveform: Tensor,  # (batch, time), float32 at 16 kHz
        lengths: Tensor,  # (batch,), valid samples
        windows_s: Sequence[float],
        hop_s: float,
    ) -> list[list[Tensor]]:  # [row][window length]: (n_windows, dim), of unit length
        """Return embeddings of sliding windows (`models.speaker.sliding`)."""
        self.encoder.to(waveform.device)
        to_spectrogram = partial(spectrogram, config=self.config)
        chunk = self.config.window
        return sliding_embeddings(
            self.encoder, to_spectrogram, waveform, lengths, chunk=chunk, windows_s=windows_s, hop_s=hop_s
        )

    def scores(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return scores (n, m) of embeddings (n, dim) and (m, dim): cosines, or their adaptive s-norm.

        Higher is more alike. `decision` is the rule for them; `threshold` and `calibration` are those of cosines.
        """
        return self.cohort.scores(first, second) if self.normalised and self.cohort else cosines(first, second)

    @property
    def decision(self) -> tuple[float, tuple[float, float]]:
        """Threshold and (slope, offset) of the scores that `scores` returns."""
        source = self.cohort if self.normalised and self.cohort else self
        return source.threshold, source.calibration

    @cached_property
    def extractor_digest(self) -> str:
        """12 hex digits of SHA-256 over the encoder's weights and configuration, without what lies beside it."""
        return digest(self.config.fingerprint().encode() + serialise(self._weights()), 12)

    def save(self, folder: Path) -> None:
        """Write `weights.safetensors` (matrices as float16), `config.json` and `trained_on.txt`."""
        folder.mkdir(parents=True, exist_ok=True)
        strangers = {_COHORT: torch.from_numpy(self.cohort.vectors).half()} if self.cohort else {}
        (folder / "weights.safetensors").write_bytes(serialise(self._weights() | strangers))
        config = {
            "dim": self.dim,
            "threshold": self.threshold,
            "calibration": list(self.calibration),
            "log_odds": self.log_odds and self.log_odds.as_dict(),
            "centre": [round(float(value), _CENTRE_DIGITS) for value in self.centre],
            "extractor_digest": self.extractor_digest,
            "normalised": self.normalised,
            "cohort": self.cohort
            and {
                "nearest": self.cohort.nearest,
                "threshold": self.cohort.threshold,
                "calibration": list(self.cohort.calibration),
            },
            "encoder": dataclasses.asdict(self.config),
            "training": self.training,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        training_set.write(folder, self.trained_on)

    @classmethod
    def load(cls, folder: Path) -> "SpeakerModel":
        """Read a folder that `save` wrote. Raises ModelError where it is missing or does not fit."""
        folder = Path(folder)
        try:
            stored = json.loads((folder / "config.json").read_text())
            weights = parse((folder / "weights.safetensors").read_bytes())
            config = EncoderConfig(**{**stored["encoder"], "mel": MelConfig(**stored["encoder"]["mel"])})
            encoder = build_network(config)
            strangers = weights.pop(_COHORT, None)
            encoder.load_state_dict({name: _widen(value) for name, value in weights.items()})
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"expected a speaker model (config.json, weights.safetensors) in {folder}: {error}; "
                "train one with `undertone models train speaker`"
            ) from error
        slope, offset = stored["calibration"]
        return cls(
            encoder,
            config,
            threshold=stored["threshold"],
            calibration=(slope, offset),
            training=stored.get("training"),
            recordings=training_set.read(folder),
            cohort=None if strangers is None else _cohort(strangers, stored["cohort"]),
            normalised=stored.get("normalised", False),
            log_odds=LogOdds.from_dict(stored["log_odds"]) if stored.get("log_odds") else None,
            centre=np.array(stored["centre"], np.float32) if "centre" in stored else None,
        )

    def _weights(self) -> dict[str, Tensor]:
        return {name: _narrow(value.cpu()).contiguous() for name, value in self.encoder.state_dict().items()}


def _cohort(strangers: Tensor, stored: dict[str, Any]) -> Cohort:
    slope, offset = stored["calibration"]
    return Cohort(strangers.float().numpy(), stored["nearest"], stored["threshold"], (slope, offset))


def _narrow(value: Tensor) -> Tensor:
    return value.half() if value.ndim > 1 else value  # the norms' running statistics keep their precision


def _widen(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _load_pyfunc(data_path: str) -> SpeakerPyfunc:
    return SpeakerPyfunc(SpeakerModel.load(Path(data_path)))
