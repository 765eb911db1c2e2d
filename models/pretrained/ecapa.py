"""SpeechBrain's ECAPA-TDNN and spectrogram as a pulled encoder, from plain values and tensors."""

from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from data_contracts.errors import ModelError
from models.speaker.encoder import SAMPLE_RATE
from models.speaker.sliding import sliding_embeddings
from models.speechbrain_compat import speechbrain_importable

_MIN_SAMPLES = 1_600  # less has too few frames for the network's context
_CHUNK_S = 2.0  # read at once for sliding windows


class EcapaEncoder:
    """Encoder of `models.pretrained.speaker`; `bands` and `network`: arguments of SpeechBrain's Fbank and ECAPA_TDNN.

    Raises ModelError where they, or the weights, do not fit.
    """

    kind = "speechbrain-ecapa"

    def __init__(self, bands: dict[str, Any], network: dict[str, Any], weights: dict[str, Tensor]) -> None:
        self.arguments = {"bands": bands, "network": network}
        self.weights = weights
        with speechbrain_importable():
            from speechbrain.lobes.features import Fbank
            from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
        try:
            self.spectrogram = Fbank(**bands).eval()
            self.network = ECAPA_TDNN(**network).eval()
            self.network.load_state_dict(weights)
        except (TypeError, RuntimeError) as error:
            raise ModelError(f"the weights do not fit the network of hyperparams.yaml: {error}") from error
        self.dim = int(network.get("lin_neurons", 192))

    @classmethod
    def restored(cls, stored: dict[str, Any], weights: dict[str, Tensor]) -> Self:
        """Return the encoder of stored arguments and weights. Raises ModelError, and KeyError where one is missing."""
        return cls(stored["bands"], stored["network"], weights)

    def embed(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Return an embedding a row, row by row: norms and pooling would see a batch's padding."""
        self._to(waveform.device)
        return torch.stack([self._embed_one(row[:n]) for row, n in zip(waveform, lengths.tolist(), strict=True)])

    def sliding_embeddings(
        self, waveform: Tensor, lengths: Tensor, windows_s: Sequence[float], hop_s: float
    ) -> list[list[Tensor]]:
        """Return embeddings of sliding windows (`models.speaker.sliding`)."""
        self._to(waveform.device)
        chunk = round(_CHUNK_S * SAMPLE_RATE)
        return sliding_embeddings(
            self.network, self._to_spectrogram, waveform, lengths, chunk=chunk, windows_s=windows_s, hop_s=hop_s
        )

    def _to(self, device: torch.device) -> None:
        self.network.to(device)
        self.spectrogram.to(device)

    def _embed_one(self, samples: Tensor) -> Tensor:  # (time,) to (dim,)
        samples = F.pad(samples, (0, max(0, _MIN_SAMPLES - len(samples))))
        whole = torch.ones(1, device=samples.device)
        vector: Tensor = self.network(self._to_spectrogram(samples[None]), whole)[0, 0]
        return vector

    def _to_spectrogram(self, samples: Tensor) -> Tensor:  # (n, time) to (n, frames, bands)
        bands: Tensor = self.spectrogram(samples)
        return bands - bands.mean(1, keepdim=True)  # SpeechBrain's InputNormalization by sentence, without deviation
