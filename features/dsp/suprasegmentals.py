"""Suprasegmental features: statistics of an utterance's contours, timbre and rhythm, a wider set than eGeMAPS.

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
_N_SPECTRAL = 10  # of LLD_NAMES: the first, which unvoiced frames have, too
_QUANTILES = (0.1, 0.5, 0.9)
_STATISTICS = ("mean", "sd", "p10", "p50", "p90", "step_sd", "step_mean")
_QUIET_SHARE = 0.3  # of the frames, left out for the timbre of the louder ones
_SEGMENT_FRAMES, _HOP_FRAMES = 64, 32  # of 10 ms, for a modulation spectrum
_MODULATION_BINS = ((1, 2), (2, 4), (4, 7), (7, 12), (12, 20), (20, 33))  # of 1.5625 Hz: first, end
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
    """Return a digest of this code, the mel spectrum and the descriptors that it reads, 12 hex digits."""
    return fingerprint(VERSION, _MEL.fingerprint(), egemaps.fingerprint())


def suprasegmental(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1] at 16 kHz
    lengths: Tensor,  # (batch,), valid samples
    descriptors: Descriptors,  # of the same rows: `features.dsp.gemaps.egemaps_lld`
) -> Tensor:  # (batch, len(SUPRASEGMENTAL_NAMES)), float32
    """Compute the statistics in the order of SUPRASEGMENTAL_NAMES, finite; a statistic over no frames is 0.

    Steps are between consecutive frames of 10 ms among those that a statistic covers. Padding, batch and neighbours do
    not change a row.
    """
    bands, n_frames = log_mel(frames.nan_to_zero(waveform), lengths, config=_MEL)
    valid = frames.length_mask(n_frames, bands.shape[1])
    valid_lld = frames.length_mask(descriptors.n_frames, descriptors.values.shape[1])
    cepstra = torch.where(valid[..., None], mfcc(bands, n_mfcc=N_CEPSTRA), 0.0)
    quiet = frames.masked_quantiles(cepstra[..., 0], valid, (_QUIET_SHARE,))
    parts = (
        _statistics(descriptors.values[..., :_N_SPECTRAL], valid_lld),
        _statistics(descriptors.values, descriptors.voiced & valid_lld),
        _statistics(cepstra, valid),
        _statistics(cepstra, valid & (cepstra[..., 0] > quiet)),
        _skewness(cepstra.mT, valid[:, None]),
        _modulation(bands, valid),
    )
    return torch.cat(parts, dim=1)


def _statistics(
    series: Tensor,  # (batch, frames, n)
    valid: Tensor,  # (batch, frames) bool
) -> Tensor:  # (batch, len(_STATISTICS) * n)
    order = (~valid).to(torch.uint8).argsort(dim=1, stable=True)
    n_valid = valid.sum(-1)
    compacted = series.gather(1, order[..., None].expand_as(series)).mT  # the valid frames first
    is_valid = frames.length_mask(n_valid, series.shape[1])[:, None]
    compacted = torch.where(is_valid, compacted, 0.0)
    steps, is_step = compacted.diff(dim=-1), is_valid[..., 1:]
    statistics = (
        frames.masked_mean(compacted, is_valid),
        frames.masked_sd(compacted, is_valid),
        *frames.masked_quantiles(compacted, is_valid, _QUANTILES).unbind(-1),
        frames.masked_sd(steps, is_step),
        frames.masked_mean(steps.abs(), is_step),
    )
    return torch.cat(statistics, dim=1)


def _skewness(series: Tensor, valid: Tensor) -> Tensor:
    """Compute the third standardised moment over the last dimension; 0 for a constant."""
    centred = torch.where(valid, series - frames.masked_mean(series, valid)[..., None], 0.0)
    sd = frames.masked_sd(series, valid)
    return frames.masked_mean(centred.pow(3), valid) / (sd + 1e-6).pow(3)


def _modulation(
    bands: Tensor,  # (batch, frames, n_mels) log-mel
    valid: Tensor,  # (batch, frames) bool
) -> Tensor:  # (batch, len(_MODULATIONS) * N_BANDS)
    """Compute the log of each band's mean modulation power in Hann windows of 640 ms; only full windows count."""
    coarse = bands.view(*bands.shape[:2], N_BANDS, -1).mean(-1).mT  # (batch, N_BANDS, frames)
    coarse = torch.where(valid[:, None], coarse - frames.masked_mean(coarse, valid[:, None])[..., None], 0.0)
    pieces = frames.frame(
        coarse.flatten(0, 1), window=_SEGMENT_FRAMES, hop=_HOP_FRAMES
    )  # (batch * N_BANDS, pieces, _SEGMENT)
    taper = torch.hann_window(_SEGMENT_FRAMES, periodic=False, device=bands.device)
    power = torch.fft.rfft(pieces * taper).abs().square().view(*coarse.shape[:2], *pieces.shape[1:2], -1)
    n_pieces = frames.n_frames(valid.sum(-1), window=_SEGMENT_FRAMES, hop=_HOP_FRAMES)
    counted = frames.length_mask(n_pieces, power.shape[2])[:, None, :, None]
    mean = torch.where(counted, power, 0.0).sum(2) / n_pieces[:, None, None]  # (batch, N_BANDS, bins)
    return torch.cat([(mean[..., low:high].mean(-1) + _FLOOR).log() for low, high in _MODULATION_BINS], dim=1)
