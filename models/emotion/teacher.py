"""Teacher of the emotion extractor: the encoder of Whisper tiny.en, from a file of its weights.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022; weights under MIT, names as in
CTranslate2. The file holds the first layers only, and more are not needed.
"""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from data_contracts.errors import ModelError
from features.decode.config import SAMPLE_RATE
from features.dsp.mel import MelConfig, filterbank
from models.emotion.extractor import FrameNetwork, at_fixed_level

_N_FFT, _HOP, _HEADS = 400, 160, 6
_LONGEST_S = 28.0  # of a piece; the encoder knows 30 s
_MEL = MelConfig(f_min_hz=0.0, f_max_hz=8000.0, n_fft=_N_FFT)
_OWN_NAMES = {  # of the extractor's network, and the teacher's for them
    "conv1": "conv1",
    "conv2": "conv2",
    "attention_norm": "layer_0.self_attention.layer_norm",
    "qkv": "layer_0.self_attention.linear_0",
    "out": "layer_0.self_attention.linear_1",
    "feed_norm": "layer_0.ffn.layer_norm",
    "up": "layer_0.ffn.linear_0",
    "down": "layer_0.ffn.linear_1",
}


class Teacher:
    """The encoder's layers; the outputs of `layers` (from 0) are what it teaches."""

    def __init__(self, file: Path, layers: tuple[int, ...] = (1, 2)) -> None:
        """Read the weights. Raises ModelError where there are none."""
        try:
            self.weights = {name: value.float() for name, value in load_file(file).items()}
        except (OSError, SafetensorError) as error:
            raise ModelError(f"expected Whisper's encoder in {file}: {error}; give --teacher FILE") from error
        self.layers = layers
        self.width = len(self.weights["conv1.bias"])

    @torch.inference_mode()
    def frames(self, waveform: np.ndarray) -> Tensor:  # (time,) at 16 kHz to (frames, layers * width)
        """Return what the layers say, 50 times a second, of a waveform at a fixed level."""
        pieces = np.array_split(at_fixed_level(waveform), max(1, math.ceil(len(waveform) / SAMPLE_RATE / _LONGEST_S)))
        return torch.cat([self._encode(torch.from_numpy(piece)) for piece in pieces if len(piece) > _N_FFT])

    def give(self, network: FrameNetwork) -> None:
        """Copy the teacher's beginning to the extractor's network."""
        state: dict[str, Tensor] = {}
        for own, name in _OWN_NAMES.items():
            gain, shift = ("gamma", "beta") if "norm" in own else ("weight", "bias")
            state |= {f"{own}.weight": self.weights[f"{name}.{gain}"], f"{own}.bias": self.weights[f"{name}.{shift}"]}
        network.load_state_dict(state)

    def _encode(self, samples: Tensor) -> Tensor:
        w = self.weights
        power = torch.stft(samples, _N_FFT, _HOP, window=torch.hann_window(_N_FFT), return_complex=True)[:, :-1]
        decades = (power.abs().square().T @ filterbank(_MEL, SAMPLE_RATE, samples.device)).clamp_min(1e-10).log10()
        bands = (torch.maximum(decades, decades.max() - 8) + 4) / 4
        hidden = F.gelu(F.conv1d(bands.T[None], w["conv1.weight"], w["conv1.bias"], padding=1))
        hidden = F.gelu(F.conv1d(hidden, w["conv2.weight"], w["conv2.bias"], padding=1, stride=2))[0].T
        hidden, said = hidden + w["position_encodings.encodings"][: len(hidden)], []
        for number in range(max(self.layers) + 1):
            hidden = self._layer(hidden, f"layer_{number}")
            said += [hidden] if number in self.layers else []
        return torch.cat(said, dim=1)

    def _layer(self, hidden: Tensor, name: str) -> Tensor:
        attention, feed = f"{name}.self_attention", f"{name}.ffn"
        mixed = self._linear(self._norm(hidden, attention), f"{attention}.linear_0")
        query, key, value = mixed.view(len(hidden), 3, _HEADS, -1).permute(1, 2, 0, 3)
        heard = F.scaled_dot_product_attention(query, key, value).transpose(0, 1).reshape(len(hidden), -1)
        hidden = hidden + self._linear(heard, f"{attention}.linear_1")
        wide = F.gelu(self._linear(self._norm(hidden, feed), f"{feed}.linear_0"))
        return hidden + self._linear(wide, f"{feed}.linear_1")

    def _linear(self, values: Tensor, name: str) -> Tensor:
        return F.linear(values, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, values: Tensor, name: str) -> Tensor:
        gain, shift = self.weights[f"{name}.layer_norm.gamma"], self.weights[f"{name}.layer_norm.beta"]
        return F.layer_norm(values, (self.width,), gain, shift)
