"""Steps of a speaker encoder's training, whatever it learns from: disturbed input, an update, the averaged weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.data.augmentation import disturb, mask_bands, recolour
from models.speaker.encoder import EncoderConfig, join_frames, log_bands
from models.speaker.progress import Progress

_MAX_NORM = 5.0  # of a step's gradient


def disturbed_input(waveform: Tensor, noise: torch.Generator, config: EncoderConfig) -> Tensor:
    """Return the encoder's input of (batch, time) crops, each with a room, a channel, noise and masks of its own."""
    bands = mask_bands(log_bands(disturb(recolour(waveform, noise), noise), config), noise)
    return join_frames(bands, config)


def run_steps(
    encoder: nn.Module,
    loss_at: Callable[[int], Tensor],  # of a step's number
    *,
    optimiser: torch.optim.Optimizer,
    schedule: LRScheduler,
    steps: int,
    average: float,  # of the weights that are kept, the share of a step ago
    progress: Progress | None = None,
) -> nn.Module:
    """Take `steps` steps, and return the encoder of averaged weights, ready to embed."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    average_of = get_ema_multi_avg_fn(average)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(encoder, multi_avg_fn=average_of, use_buffers=True)
    encoder.train()
    for step in range(steps):
        loss = loss_at(step)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, _MAX_NORM)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(encoder)
        if progress:
            progress(step, float(loss.detach()), averaged.module)
    module: nn.Module = averaged.module
    return module.eval()
