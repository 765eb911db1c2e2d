"""Silero VAD v6 (Silero Team, 2025): probabilities of speech, batched over recordings and vectorised over time.

The wheel's model is called once for each 32 ms. Only its LSTM needs the past, so here everything before it runs over
many chunks of all recordings at once. The weights are read from the silero-vad wheel; the code is ours.
"""

import warnings
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data_contracts.errors import ModelError
from features.dsp import frames
from features.dsp.batching import chunk_size
from features.segmentation.config import CHUNK

_CONTEXT = 64  # samples before a chunk that the model sees, too
_N_FFT, _HOP, _FRAMES = 256, 128, 4  # of the spectrum within a chunk
_UNITS = 128
_STRIDES = (1, 2, 2, 1)
_MAX_CHUNKS = {"cpu": 1024, "cuda": 1 << 16}  # all recordings together: fits a core's cache, or fills a GPU

State = tuple[Tensor, Tensor]


@torch.no_grad()
def speech_probabilities(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1] at 16 kHz
    lengths: Tensor,  # (batch,), valid samples
) -> Tensor:  # (batch, chunks)
    """Compute the probability of speech in each 512 samples (32 ms), 0 to 1, exactly 0 in chunks beyond `lengths`.

    The last chunk is filled up with zeros. Raises UsageError when the shapes do not fit. Beside one copy of the
    waveform, memory does not grow with its length.
    """
    waveform = frames.zero_padding(waveform, lengths)
    n_rows, time = waveform.shape
    n_chunks = -(-time // CHUNK)
    if not n_chunks:
        return waveform.new_zeros(n_rows, 0)
    model, step = load_network(waveform.device), max(1, chunk_size(_MAX_CHUNKS, waveform.device) // n_rows)
    state, parts = model.start(n_rows), []
    for first in range(0, n_chunks, step):
        start, end = first * CHUNK - _CONTEXT, min(first + step, n_chunks) * CHUNK
        window = waveform[:, max(start, 0) : end]
        window = F.pad(window, (max(-start, 0), max(end - time, 0)))
        probabilities, state = model(window, state)
        parts.append(probabilities)
    valid = frames.length_mask(-(-lengths // CHUNK), n_chunks)
    return torch.where(valid, torch.cat(parts, dim=1), 0.0)


class SpeechStream:
    """Streaming `speech_probabilities` of one recording that comes piece by piece; the same to rounding."""

    def __init__(self, device: torch.device) -> None:
        self._model = load_network(device)
        self._state = self._model.start(1)
        self._context = torch.zeros(1, _CONTEXT, device=device)

    @torch.no_grad()
    def add(self, samples: Tensor) -> Tensor:  # (time,), whole chunks but for the last piece; gives (chunks,)
        samples = F.pad(samples, (0, -len(samples) % CHUNK))[None]
        parts, step = [], chunk_size(_MAX_CHUNKS, samples.device) * CHUNK
        for first in range(0, samples.shape[1], step):
            piece = samples[:, first : first + step]
            probabilities, self._state = self._model(torch.cat([self._context, piece], dim=1), self._state)
            self._context = piece[:, -_CONTEXT:]
            parts.append(probabilities[0])
        return torch.cat(parts) if parts else samples.new_zeros(0)


class SileroNetwork(nn.Module):
    """Silero's network: spectrum, four convolutions, LSTM, one output. `weights` as named in the TorchScript file."""

    window: Tensor

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        # The model's STFT kernels are a DFT times a Hann window, to 4e-5 (test_the_stft_kernels_are_a_windowed_dft):
        # the kernel of 0 Hz is that window, and an FFT does the rest three times faster.
        self.register_buffer("window", weights["stft.forward_basis_buffer"][0, 0])
        for layer in range(len(_STRIDES)):
            kernel = weights[f"encoder.{layer}.reparam_conv.weight"]  # (out, in, 3), wanted as a matrix (3 * in, out)
            self.register_buffer(f"kernel{layer}", kernel.permute(2, 1, 0).flatten(0, 1).contiguous())
            self.register_buffer(f"bias{layer}", weights[f"encoder.{layer}.reparam_conv.bias"])
        self.lstm = nn.LSTM(_UNITS, _UNITS, batch_first=True)
        self.lstm.load_state_dict(
            {f"{name}_l0": weights[f"decoder.rnn.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        )
        self.register_buffer("out", weights["decoder.decoder.2.weight"].flatten())
        self.register_buffer("out_bias", weights["decoder.decoder.2.bias"])

    def start(self, n_rows: int) -> State:
        """Return the state before the first chunk."""
        zeros = self.window.new_zeros(1, n_rows, _UNITS)
        return zeros, zeros

    def forward(
        self,
        window: Tensor,  # (batch, 64 + 512 * chunks)
        state: State,  # (1, batch, 128) each
    ) -> tuple[Tensor, State]:
        """Return probabilities (batch, chunks), and the state after them."""
        chunks = window.unfold(1, _CONTEXT + CHUNK, CHUNK).flatten(0, 1)
        chunks = F.pad(chunks, (0, _N_FFT - _HOP - _CONTEXT), mode="reflect")
        x = torch.fft.rfft(chunks.unfold(1, _N_FFT, _HOP) * self.window).abs()  # (batch * chunks, frames, bins)
        for layer, stride in enumerate(_STRIDES):
            x = _convolve(x, self.get_buffer(f"kernel{layer}"), self.get_buffer(f"bias{layer}"), stride)
        x, state = self.lstm(x.view(len(window), -1, _UNITS), state)
        return torch.sigmoid(x.relu() @ self.get_buffer("out") + self.get_buffer("out_bias")), state


@lru_cache(maxsize=8)
def load_network(device: torch.device) -> SileroNetwork:
    """Read the network from the installed wheel, once a device. Raises ModelError where it is missing."""
    package = find_spec("silero_vad")
    if package is None or package.origin is None:
        raise ModelError("expected the silero-vad wheel, found none: run `make setup`")
    path = Path(package.origin).parent / "data" / "silero_vad.jit"
    if not path.is_file():
        raise ModelError(f"expected the weights at {path}, found none: install silero-vad as in requirements.lock")
    # Not silero_vad_16k.safetensors beside it: in 6.2.3 those are other weights, with probabilities up to 0.8 away.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", DeprecationWarning)
        model = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return SileroNetwork(model._model.state_dict()).requires_grad_(False).eval().to(device)


def _convolve(
    x: Tensor,  # (n, time, channels in)
    kernel: Tensor,  # (3 * channels in, channels out)
    bias: Tensor,  # (channels out,)
    stride: int,
) -> Tensor:  # (n, time / stride, channels out)
    """Convolve with width 3, zero-padded by 1, then ReLU, as one matrix product.

    Time is 4 frames at most, too short for torch's convolution kernels to be fast.
    """
    n, _, width = x.shape
    x = F.pad(x, (0, 0, 1, 1)).flatten(1).unfold(1, 3 * width, stride * width)
    return torch.addmm(bias, x.flatten(0, 1), kernel).relu_().view(n, -1, kernel.shape[1])
