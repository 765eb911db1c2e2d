"""Resemblyzer's d-vector in plain torch: an LSTM over windows of 1.6 s of mel power.

Wan et al., *Generalized end-to-end loss for speaker verification*, ICASSP 2018. Its weights, `pretrained.pt`, come in
the wheel of Resemblyzer 0.1.4 (Apache-2.0).
"""

import importlib.util
import io
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data_contracts.errors import ModelError, UsageError
from features.dsp.mel import MelConfig, filterbank

SAMPLE_RATE = 16_000
DIM = 256
_WEIGHTS = "resemblyzer/pretrained.pt"
_MEL = MelConfig(n_mels=40, f_min_hz=0.0, f_max_hz=8_000.0, n_fft=400)
_FRAME, _HOP = 400, 160  # samples
_WINDOW, _STEP = 160, 100  # frames of a window; largest distance of two windows
_LEVEL_DB = -30.0  # that quieter speech is brought to
_WINDOWS_PER_BATCH = 192


class DVector(nn.Module):
    """Three layers of LSTM, the last hidden state through one layer and ReLU, to unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_MEL.n_mels, DIM, num_layers=3, batch_first=True)
        self.linear = nn.Linear(DIM, DIM)

    def forward(self, mel: Tensor) -> Tensor:  # (n, 160, 40) to (n, 256)
        """Return the d-vectors of windows."""
        _, (hidden, _) = self.lstm(mel)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])))

    @torch.inference_mode()
    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Return (n, 256) float32 of unit length: the means over the windows of each float32 waveform at 16 kHz."""
        windows = [_windows(torch.from_numpy(np.ascontiguousarray(waveform))) for waveform in waveforms]
        row = torch.repeat_interleave(torch.arange(len(windows)), torch.tensor([len(part) for part in windows]))
        vectors = torch.cat([self(part) for part in torch.split(torch.cat(windows), _WINDOWS_PER_BATCH)])
        total = torch.zeros(len(windows), DIM).index_add_(0, row, vectors)
        means: np.ndarray = nn.functional.normalize(total).numpy()
        return means

    @classmethod
    def load(cls, folder: Path) -> "DVector":
        """Read the weights from Resemblyzer's wheel or `pretrained.pt` in `folder`, else from an installed Resemblyzer.

        Raises UsageError where there are none, ModelError where they do not fit.
        """
        network = cls()
        path, data = _find_weights(folder)
        try:
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)["model_state"]
            network.load_state_dict({name: state[name] for name in network.state_dict()})
        except (KeyError, RuntimeError, pickle.UnpicklingError) as error:
            raise ModelError(
                f"expected the weights of Resemblyzer 0.1.4 in {path}: {error}; take the wheel from PyPI again"
            ) from error
        return network.eval().requires_grad_(False)


def _find_weights(folder: Path) -> tuple[Path, bytes]:
    plain = folder / "pretrained.pt"
    if plain.is_file():
        return plain, plain.read_bytes()
    for wheel in sorted(folder.glob("*esemblyzer-*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            return wheel, archive.read(_WEIGHTS)
    installed = importlib.util.find_spec("resemblyzer")
    if installed and installed.origin:
        place = Path(installed.origin).parent / "pretrained.pt"
        if place.is_file():
            return place, place.read_bytes()
    raise UsageError(
        f"expected Resemblyzer's wheel or its pretrained.pt in {folder}, or Resemblyzer installed; found none: "
        f"pip download --no-deps Resemblyzer==0.1.4 --dest {folder}, or name another folder by --dvector"
    )


def _windows(waveform: Tensor) -> Tensor:  # (time,) to (n, 160, 40)
    """Return evenly spaced windows of mel power that cover the speech; shorter speech is padded with zeros."""
    mel = _mel_power(waveform)
    n = len(mel)
    if n <= _WINDOW:
        return nn.functional.pad(mel, (0, 0, 0, _WINDOW - n))[None]
    starts = np.linspace(0, n - _WINDOW, max(2, -(-(n - _WINDOW) // _STEP) + 1)).round().astype(int)
    return torch.stack([mel[start : start + _WINDOW] for start in starts])


def _mel_power(waveform: Tensor) -> Tensor:  # (time,) to (frames, 40)
    level_db = 10 * float(waveform.square().mean().clamp_min(1e-12).log10())
    louder = waveform * 10 ** (max(0.0, _LEVEL_DB - level_db) / 20)
    taper = torch.hann_window(_FRAME)
    spectrum = torch.stft(louder, _FRAME, _HOP, window=taper, pad_mode="constant", return_complex=True)
    return spectrum.abs().square().T @ filterbank(_MEL, SAMPLE_RATE, waveform.device)
