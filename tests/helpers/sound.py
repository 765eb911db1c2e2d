"""Made-up sound whose properties are known: white noise, as tensors and as arrays."""

import numpy as np
import torch
from torch import Tensor

RATE = 16_000


def white_noise(*shape: int, level: float = 0.1, seed: int = 0) -> Tensor:
    """Gaussian noise of that RMS level, the same for the same seed."""
    return level * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def padded_noise(*lengths: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A batch of noise as networks take it, with the valid samples of each row; noise follows in the padding too."""
    return white_noise(len(lengths), max(lengths), seed=seed), torch.tensor(lengths)


def noise_array(n: int, *, level: float = 0.1, seed: int = 0) -> np.ndarray:
    """(n,) float64, for what runs without torch."""
    return level * np.random.default_rng(seed).standard_normal(n)
