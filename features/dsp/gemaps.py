"""eGeMAPS: the 88 functionals of the extended Geneva Minimalistic Acoustic Parameter Set, for a batch at once.

Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice research and affective computing", IEEE
Trans. Affective Computing 7(2), 2016, doi 10.1109/TAFFC.2015.2457417.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from data_contracts.fingerprint import fingerprint
from features.dsp import descriptors, frames, functionals, slopes
from features.dsp.descriptors import HOP_S, SPECTRAL_NAMES, VOICE_NAMES, Raw
from features.dsp.subharmonics import F0Range

VERSION = "egemaps-3"
LLD_NAMES: tuple[str, ...] = (*SPECTRAL_NAMES, *VOICE_NAMES)

_CONTOUR = (
    "amean",
    "stddevNorm",
    "percentile20.0",
    "percentile50.0",
    "percentile80.0",
    "pctlrange0-2",
    "meanRisingSlope",
    "stddevRisingSlope",
    "meanFallingSlope",
    "stddevFallingSlope",
)
_BOTH = ("amean", "stddevNorm")
_OF_VOICED = (
    "alphaRatioV",
    "hammarbergIndexV",
    "slopeV0-500",
    "slopeV500-1500",
    "spectralFluxV",
    *(f"mfcc{order}V" for order in (1, 2, 3, 4)),
)
_OF_UNVOICED = ("alphaRatioUV", "hammarbergIndexUV", "slopeUV0-500", "slopeUV500-1500", "spectralFluxUV")
EGEMAPS_NAMES: tuple[str, ...] = (
    *(f"{VOICE_NAMES[0]}_{what}" for what in _CONTOUR),
    *(f"loudness_sma3_{what}" for what in _CONTOUR),
    *(f"{name}_{what}" for name in SPECTRAL_NAMES[5:] for what in _BOTH),
    *(f"{name}_{what}" for name in VOICE_NAMES[1:] for what in _BOTH),
    *(f"{name}_sma3nz_{what}" for name in _OF_VOICED for what in _BOTH),
    *(f"{name}_sma3nz_amean" for name in _OF_UNVOICED),
    "loudnessPeaksPerSec",
    "VoicedSegmentsPerSec",
    "MeanVoicedSegmentLengthSec",
    "StddevVoicedSegmentLengthSec",
    "MeanUnvoicedSegmentLength",
    "StddevUnvoicedSegmentLength",
    "equivalentSoundLevel_dBp",
)


@dataclass(frozen=True)
class EgemapsConfig:
    """What steers `egemaps`: where F0 is looked for.

    Its name and those of its fields are part of the feature version (`data_contracts.fingerprint`).
    """

    f0_min_hz: float = 55.0
    f0_max_hz: float = 1000.0

    def fingerprint(self) -> str:
        """This configuration and the versions of all code behind it in 12 hex digits."""
        behind = (descriptors, slopes, *descriptors.BEHIND)
        return fingerprint(self, VERSION, *(module.VERSION for module in behind))


class Descriptors(NamedTuple):
    """What `egemaps_lld` finds."""

    values: Tensor  # (batch, frames, len(LLD_NAMES)) float32, smoothed over three frames
    voiced: Tensor  # (batch, frames) bool
    n_frames: Tensor  # (batch,) frames of 60 ms that each row has; values are 0 beyond


def egemaps(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    sample_rate: int = 16_000,
    config: EgemapsConfig = EgemapsConfig(),
) -> Tensor:  # (batch, 88), float32
    """The functionals in the order of EGEMAPS_NAMES, finite whatever comes in.

    Semitones are counted from 27.5 Hz, slopes are per second (of a contour without a turn: per frame), lengths in
    seconds, levels in dB, formants in Hz; a coefficient of variation is sd / mean. What there is nothing to take over
    is 0: all of voice where nothing is voiced (silence, a constant, whispering). An utterance shorter than a frame has
    one, and silence behind it; a level is -120 dB at least. Non-finite samples count as zero. Padding, batch and
    neighbours do not change a row. The formants follow eGeMAPSv02, not the vocal tract: see `formants.egemaps_poles`,
    and `formant_track` for resonances. Raises UsageError below 16 kHz, or when shapes or F0 range do not fit.
    """
    raw = _described(waveform, lengths, sample_rate=sample_rate, config=config)
    return _functionals(raw)


def egemaps_lld(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    sample_rate: int = 16_000,
    config: EgemapsConfig = EgemapsConfig(),
) -> Descriptors:
    """The low-level descriptors in the order of LLD_NAMES, every 10 ms; the frame's first sample is `t * hop`.

    Those of voice are 0 in unvoiced frames, and the formants' levels -201 dB, as in eGeMAPSv02. Otherwise as `egemaps`.
    """
    return _descriptors(_described(waveform, lengths, sample_rate=sample_rate, config=config))


def egemaps_and_lld(
    waveform: Tensor, lengths: Tensor, *, sample_rate: int = 16_000, config: EgemapsConfig = EgemapsConfig()
) -> tuple[Tensor, Descriptors]:
    """Both, from one analysis."""
    raw = _described(waveform, lengths, sample_rate=sample_rate, config=config)
    return _functionals(raw), _descriptors(raw)


def _described(waveform: Tensor, lengths: Tensor, *, sample_rate: int, config: EgemapsConfig) -> Raw:
    within = F0Range(config.f0_min_hz, config.f0_max_hz)
    return descriptors.describe(waveform, lengths, sample_rate=sample_rate, within=within)


def _descriptors(raw: Raw) -> Descriptors:
    n = raw.own_60.shape[1]
    spectral = functionals.smoothed(raw.spectral, raw.own_20[:, None])[..., :n]
    values = torch.where(raw.own_60[:, None], torch.cat([spectral, raw.voice], dim=1), 0.0)
    return Descriptors(values.mT, raw.voiced, raw.own_60.sum(-1))


def _functionals(raw: Raw) -> Tensor:
    settled = _settled(raw.voiced, raw.own_60)
    spectral = functionals.smoothed(raw.spectral, raw.own_20[:, None])
    together, voiced = functionals.closed_up(raw.voice[:, 0], raw.voiced & settled)
    beyond = (0, spectral.shape[-1] - together.shape[-1])  # of 20 ms there are more frames than of 60 ms
    contours = torch.stack([torch.nn.functional.pad(together, beyond), spectral[:, 0]])  # F0 and loudness
    valid = torch.stack([torch.nn.functional.pad(voiced, beyond), raw.own_20])
    of_f0, of_loudness, n_peaks = _of_contours(contours, valid)
    of_spectra = torch.stack(functionals.mean_and_cv(spectral[:, 5:], raw.own_20[:, None]), dim=-1).flatten(1)
    of_voice = torch.stack(functionals.mean_and_cv(raw.voice[:, 1:], (raw.voice[:, 1:] != 0) & settled[:, None]), -1)
    rest = (of_spectra, of_voice.flatten(1), _of_voicing(raw, settled), _of_rhythm(raw, settled, n_peaks))
    return torch.cat([of_f0, of_loudness, *rest], dim=1)


def _settled(voiced: Tensor, own: Tensor) -> Tensor:
    """Which frames count towards the functionals of voice: (batch, frames) bool.

    A row's last frame serves the smoothing of the one before; voice that sounds to within three frames of the end has
    its last ones left out, as openSMILE leaves them out when the sound stops before its F0 path is settled.
    """
    n_own = own.sum(-1)
    place = torch.arange(own.shape[1], device=own.device)
    last_voiced = torch.where(voiced, place, -1).amax(-1)
    n = torch.where(last_voiced >= n_own - 3, torch.minimum(last_voiced, n_own - 2), n_own - 1)
    return frames.length_mask(n.clamp_min(1), own.shape[1])


def _of_contours(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of (2, batch, frames) the functionals _CONTOUR of either, (batch, len(_CONTOUR)), and peaks of the second."""
    series, masks = values.flatten(0, 1), valid.flatten(0, 1)
    found = slopes.find(series, masks, hop_s=HOP_S)
    first = (*functionals.mean_and_cv(series, masks), *functionals.percentiles(series, masks))
    table = torch.cat([torch.stack(first, dim=-1), found.rising, found.falling], dim=-1)
    of_first, of_second = table.view(2, -1, len(_CONTOUR))
    return of_first, of_second, found.peaks.view(values.shape)[1].sum(-1)


def _of_voicing(raw: Raw, settled: Tensor) -> Tensor:
    spectral = raw.spectral[..., : settled.shape[1]]
    voiced, unvoiced = raw.voiced[:, None], (raw.own_60 & ~raw.voiced)[:, None]
    of_voiced = functionals.smoothed_among(spectral[:, 1:], voiced)
    of_unvoiced = functionals.smoothed_among(spectral[:, 1:6], unvoiced)
    settled = settled[:, None]
    columns = torch.stack(functionals.mean_and_cv(of_voiced, (of_voiced != 0) & settled), dim=-1).flatten(1)
    return torch.cat([columns, frames.masked_mean(of_unvoiced, (of_unvoiced != 0) & settled)], dim=1)


def _of_rhythm(raw: Raw, settled: Tensor, n_peaks: Tensor) -> Tensor:
    n_voiced, *voiced_s = functionals.segments(raw.voiced, settled, hop_s=HOP_S)
    _, *unvoiced_s = functionals.segments(raw.own_60 & ~raw.voiced, settled, hop_s=HOP_S)
    level = frames.masked_mean(raw.power, raw.own_20).clamp_min(1e-12)
    columns = (
        n_peaks / (raw.own_20.sum(-1) * HOP_S),
        n_voiced / (settled.sum(-1) * HOP_S),
        *voiced_s,
        *unvoiced_s,
        10 * level.log10(),
    )
    return torch.stack(columns, dim=-1)
