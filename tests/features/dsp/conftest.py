"""Utterances of different lengths for tests of the DSP."""

import pytest
from helpers.sound import white_noise
from helpers.voices import babble
from torch import Tensor


@pytest.fixture
def utterances(vowels: list[Tensor]) -> list[Tensor]:
    """Three utterances: one of voice and pauses, one of a vowel in noise, one shorter than a frame."""
    return [babble(), vowels[0][:9000] + white_noise(9000, level=0.01), vowels[3][:700]]
