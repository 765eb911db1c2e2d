"""Codecs: length and voice stay, the band of a telephone does not."""

import numpy as np
import pytest

from models.data.codecs import CODECS, transcode

RATE = 16_000


def _tone(hz: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)).astype(np.float32)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("n", [RATE, 12_345, 400])
def test_the_voice_stays_and_its_length_too(name: str, n: int) -> None:
    sent = _tone(700.0)[:n]
    heard = transcode(sent, CODECS[name])
    assert heard.shape == sent.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    if n == RATE:
        spectrum = np.abs(np.fft.rfft(heard))
        assert abs(int(spectrum.argmax()) - 700) <= 2


@pytest.mark.parametrize("name", [name for name, codec in CODECS.items() if codec.rate_hz == 8_000])
def test_a_telephone_has_nothing_above_four_kilohertz(name: str) -> None:
    sent = _tone(700.0) + _tone(6_000.0)
    power = np.abs(np.fft.rfft(transcode(sent, CODECS[name]))) ** 2
    assert power[4_500:].sum() < 0.01 * power.sum()


def test_louder_than_full_scale_is_clipped_not_wrapped() -> None:
    heard = transcode(5 * _tone(300.0), CODECS["mu-law"])
    assert np.abs(heard).max() < 1.6
