"""Progress of a training, for who waits for it."""

from collections.abc import Callable

from torch import nn

Progress = Callable[[int, float, nn.Module], None]
"""Callback with the step, its loss, and the encoder averaged over the steps so far."""
