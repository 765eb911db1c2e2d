"""How the voice moves over an utterance, wider than eGeMAPS: statistics of its contours, its timbre and its rhythm.

Three parts, for the emotion model: eGeMAPS's 25 descriptors and twenty cepstra, each with mean, spread, percentiles and
the size of its steps (as in ComParE's set, Schuller et al., Interspeech 2013), and the modulation spectrum of twenty
mel bands, in which syllables lie at 2 to 8 Hz (Houtgast and Steeneken, J. Acoust. Soc. Am. 77, 1985).
"""

import torch
from torch import Tensor

from data_contracts.fingerprint import fingerprint
from features.dsp import frames
from features.dsp.gemaps import LLD_NAMES, Descriptors, EgemapsConfig
from features.dsp.mel import MelConfig, log_mel, mfcc

VERSION = "contours-1"
N_CEPSTRA, N_BANDS = 20, 20
_MEL = MelConfig()
_N_SPECTRAL = 10  # of LLD_NAMES: those that unvoiced frames have, too
_QUANTILES = (0.1, 0.5, 0.9)
_STATISTICS = ("mean", "sd", "p10", "p50", "p90", "step_sd", "step_mean")
_QUIET_SHARE = 0.3  # of the frames: what is left out for the timbre of the louder ones
_SEGMENT_FRAMES, _HOP_FRAMES = 64, 32  # frames of 10 ms that a modulation spectrum is taken over
_MODULATION_BINS = ((1, 2), (2, 4), (4, 7), (7, 12), (12, 20), (20, 33))  # bins of 1.5625 Hz: from, up to
_FLOOR = 1e-3

SUPRASEGMENTAL_NAMES: tuple[str, ...] = (
    *(f"{name}_all_{what}" for what in _STATISTICS for name in LLD_NAMES[:_N_SPECTRAL]),
    *(f"{name}_voiced_{what}" for what in _STATISTICS for name in LLD_NAMES),
    *(f"cepstrum{order}_all_{what}" for what in _STATISTICS for order in range(N_CEPSTRA)),
    *(f"cepstrum{order}_loud_{what}" for what in _STATISTICS for order in range(N_CEPSTRA)),
    *(f"cepstrum{order}_skewness" for order in range(N_CEPSTRA)),
    *(
        f"modulation{low * 100 // 64}-{high * 100 // 64}Hz_band{b}"
        for low, high in _MODULATION_BINS
        for b in range(N_BANDS)
    ),
)


def version(egemaps: EgemapsConfig) -> str:
    """This code, the mel spectrum and the descriptors that it reads in 12 hex digits."""
    return fingerprint(VERSION, _MEL.fingerprint(), egemaps.fingerprint())


def suprasegmental(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1] at 16 kHz
    lengths: Tensor,  # (batch,), valid samples
    descriptors: Descriptors,  # of the same rows: `features.dsp.gemaps.egemaps_lld`
) -> Tensor:  # (batch, len(SUPRASEGMENTAL_NAMES)), float32
    """The statistics in the order of SUPRASEGMENTAL_NAMES, finite; what there is nothing to take over is 0.

    Steps are between frames of 10 ms that follow each other in what is looked at. Padding, batch and neighbours do not
    change a row.
    """
    bands, n_frames = log_mel(frames.nan_to_zero(waveform), lengths, config=_MEL)
    own = frames.length_mask(n_frames, bands.shape[1])
    own_lld = frames.length_mask(descriptors.n_frames, descriptors.values.shape[1])
    cepstra = torch.where(own[..., None], mfcc(bands, n_mfcc=N_CEPSTRA), 0.0)
    quiet = frames.masked_quantiles(cepstra[..., 0], own, (_QUIET_SHARE,))
    parts = (
        _statistics(descriptors.values[..., :_N_SPECTRAL], own_lld),
        _statistics(descriptors.values, descriptors.voiced & own_lld),
        _statistics(cepstra, own),
        _statistics(cepstra, own & (cepstra[..., 0] > quiet)),
        _skewness(cepstra.mT, own[:, None]),
        _modulation(bands, own),
    )
    return torch.cat(parts, dim=1)


def _statistics(
    series: Tensor,  # (batch, frames, n)
    valid: Tensor,  # (batch, frames) bool
) -> Tensor:  # (batch, len(_STATISTICS) * n)
    order = (~valid).to(torch.uint8).argsort(dim=1, stable=True)
    n_valid = valid.sum(-1)
    together = series.gather(1, order[..., None].expand_as(series)).mT  # the valid frames first
    counted = frames.length_mask(n_valid, series.shape[1])[:, None]
    together = torch.where(counted, together, 0.0)
    steps, stepped = together.diff(dim=-1), counted[..., 1:]
    found = (
        frames.masked_mean(together, counted),
        frames.masked_sd(together, counted),
        *frames.masked_quantiles(together, counted, _QUANTILES).unbind(-1),
        frames.masked_sd(steps, stepped),
        frames.masked_mean(steps.abs(), stepped),
    )
    return torch.cat(found, dim=1)


def _skewness(series: Tensor, valid: Tensor) -> Tensor:
    """Third standardised moment over the last dimension; 0 where nothing moves."""
    centred = torch.where(valid, series - frames.masked_mean(series, valid)[..., None], 0.0)
    sd = frames.masked_sd(series, valid)
    return frames.masked_mean(centred.pow(3), valid) / (sd + 1e-6).pow(3)


def _modulation(
    bands: Tensor,  # (batch, frames, n_mels) log-mel
    own: Tensor,  # (batch, frames) bool
) -> Tensor:  # (batch, len(_MODULATIONS) * N_BANDS)
    """Log of the mean modulation power of each band: Hann windows of 640 ms, the last ones only where they are full."""
    coarse = bands.view(*bands.shape[:2], N_BANDS, -1).mean(-1).mT  # (batch, N_BANDS, frames)
    coarse = torch.where(own[:, None], coarse - frames.masked_mean(coarse, own[:, None])[..., None], 0.0)
    pieces = frames.frame(
        coarse.flatten(0, 1), window=_SEGMENT_FRAMES, hop=_HOP_FRAMES
    )  # (batch * N_BANDS, pieces, _SEGMENT)
    taper = torch.hann_window(_SEGMENT_FRAMES, periodic=False, device=bands.device)
    power = torch.fft.rfft(pieces * taper).abs().square().view(*coarse.shape[:2], *pieces.shape[1:2], -1)
    n_pieces = frames.n_frames(own.sum(-1), window=_SEGMENT_FRAMES, hop=_HOP_FRAMES)
    counted = frames.length_mask(n_pieces, power.shape[2])[:, None, :, None]
    mean = torch.where(counted, power, 0.0).sum(2) / n_pieces[:, None, None]  # (batch, N_BANDS, bins)
    return torch.cat([(mean[..., low:high].mean(-1) + _FLOOR).log() for low, high in _MODULATION_BINS], dim=1)
