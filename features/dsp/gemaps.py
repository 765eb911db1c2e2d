"""eGeMAPS: the 88 functionals of the extended Geneva Minimalistic Acoustic Parameter Set, for a batch at once.

Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice research and affective computing", IEEE
Trans. Affective Computing 7(2), 2016, doi 10.1109/TAFFC.2015.2457417.
"""

from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from data_contracts.fingerprint import fingerprint
from features.dsp import descriptors, frames, functionals, slopes
from features.dsp.descriptors import HOP_S, SPECTRAL_NAMES, VOICE_NAMES, RawDescriptors
from features.dsp.subharmonics import F0Range

VERSION = "egemaps-3"
LLD_NAMES: tuple[str, ...] = (*SPECTRAL_NAMES, *VOICE_NAMES)

_CONTOUR_STATISTICS = (
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
_MEAN_AND_CV = ("amean", "stddevNorm")
_VOICED_NAMES = (
    "alphaRatioV",
    "hammarbergIndexV",
    "slopeV0-500",
    "slopeV500-1500",
    "spectralFluxV",
    *(f"mfcc{order}V" for order in (1, 2, 3, 4)),
)
_UNVOICED_NAMES = ("alphaRatioUV", "hammarbergIndexUV", "slopeUV0-500", "slopeUV500-1500", "spectralFluxUV")
_BLOCKS: dict[str, tuple[str, ...]] = {  # in the order of their columns
    "f0": tuple(f"{VOICE_NAMES[0]}_{statistic}" for statistic in _CONTOUR_STATISTICS),
    "loudness": tuple(f"loudness_sma3_{statistic}" for statistic in _CONTOUR_STATISTICS),
    "spectral": tuple(f"{name}_{statistic}" for name in SPECTRAL_NAMES[5:] for statistic in _MEAN_AND_CV),
    "voice": tuple(f"{name}_{statistic}" for name in VOICE_NAMES[1:] for statistic in _MEAN_AND_CV),
    "voicing": (
        *(f"{name}_sma3nz_{statistic}" for name in _VOICED_NAMES for statistic in _MEAN_AND_CV),
        *(f"{name}_sma3nz_amean" for name in _UNVOICED_NAMES),
    ),
    "rhythm": (
        "loudnessPeaksPerSec",
        "VoicedSegmentsPerSec",
        "MeanVoicedSegmentLengthSec",
        "StddevVoicedSegmentLengthSec",
        "MeanUnvoicedSegmentLength",
        "StddevUnvoicedSegmentLength",
        "equivalentSoundLevel_dBp",
    ),
}
EGEMAPS_NAMES: tuple[str, ...] = tuple(chain.from_iterable(_BLOCKS.values()))


@dataclass(frozen=True)
class EgemapsConfig:
    """Configuration of `egemaps`: the range in which F0 is looked for.

    Its name and those of its fields are part of the feature version (`data_contracts.fingerprint`).
    """

    f0_min_hz: float = 55.0
    f0_max_hz: float = 1000.0

    def fingerprint(self) -> str:
        """Return a digest of this configuration and the versions of all code that it depends on, 12 hex digits."""
        modules = (descriptors, slopes, *descriptors.VERSIONED_MODULES)
        return fingerprint(self, VERSION, *(module.VERSION for module in modules))


class Descriptors(NamedTuple):
    """Low-level descriptors, as `egemaps_lld` returns them."""

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
    """Compute the functionals in the order of EGEMAPS_NAMES, finite for every input.

    Semitones are counted from 27.5 Hz, slopes are per second (of a contour without a turn: per frame), lengths in
    seconds, levels in dB, formants in Hz; a coefficient of variation is sd / mean. A functional over no frames is 0:
    all of voice where nothing is voiced (silence, a constant, whispering). An utterance shorter than a frame is padded
    with silence to one frame; the lowest level is -120 dB. Non-finite samples count as zero. Padding, batch and
    neighbours do not change a row. The formants follow eGeMAPSv02, not the vocal tract: see `formants.egemaps_poles`,
    and `formant_track` for resonances. Raises UsageError below 16 kHz, or when shapes or F0 range do not fit.
    """
    raw = _raw_descriptors(waveform, lengths, sample_rate=sample_rate, config=config)
    return _functionals(raw)


def egemaps_lld(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    sample_rate: int = 16_000,
    config: EgemapsConfig = EgemapsConfig(),
) -> Descriptors:
    """Compute the low-level descriptors in the order of LLD_NAMES, every 10 ms; frame `t` begins at sample `t * hop`.

    Those of voice are 0 in unvoiced frames, and the formants' levels -201 dB, as in eGeMAPSv02. Units, padding and
    errors are those of `egemaps`.
    """
    return _descriptors(_raw_descriptors(waveform, lengths, sample_rate=sample_rate, config=config))


def egemaps_and_lld(
    waveform: Tensor, lengths: Tensor, *, sample_rate: int = 16_000, config: EgemapsConfig = EgemapsConfig()
) -> tuple[Tensor, Descriptors]:
    """Return both `egemaps` and `egemaps_lld`, from one analysis."""
    raw = _raw_descriptors(waveform, lengths, sample_rate=sample_rate, config=config)
    return _functionals(raw), _descriptors(raw)


def _raw_descriptors(waveform: Tensor, lengths: Tensor, *, sample_rate: int, config: EgemapsConfig) -> RawDescriptors:
    f0_range = F0Range(config.f0_min_hz, config.f0_max_hz)
    return descriptors.compute_descriptors(waveform, lengths, sample_rate=sample_rate, f0_range=f0_range)


def _descriptors(raw: RawDescriptors) -> Descriptors:
    n = raw.valid_60ms.shape[1]
    spectral = functionals.smooth(raw.spectral, raw.valid_20ms[:, None])[..., :n]
    values = torch.where(raw.valid_60ms[:, None], torch.cat([spectral, raw.voice], dim=1), 0.0)
    return Descriptors(values.mT, raw.voiced, raw.valid_60ms.sum(-1))


def _functionals(raw: RawDescriptors) -> Tensor:
    blocks = _functional_blocks(raw)
    return torch.cat([blocks[name] for name in _BLOCKS], dim=1)


def _functional_blocks(raw: RawDescriptors) -> dict[str, Tensor]:
    """Compute the functionals by name of _BLOCKS, each (batch, number of the block's names)."""
    counted = _counted_frames(raw.voiced, raw.valid_60ms)
    spectral = functionals.smooth(raw.spectral, raw.valid_20ms[:, None])
    f0, is_f0 = functionals.compact_voiced(raw.voice[:, 0], raw.voiced & counted)
    padding = (0, spectral.shape[-1] - f0.shape[-1])  # there are more frames of 20 ms than of 60 ms
    contours = torch.stack([torch.nn.functional.pad(f0, padding), spectral[:, 0]])  # F0 and loudness
    valid = torch.stack([torch.nn.functional.pad(is_f0, padding), raw.valid_20ms])
    f0_block, loudness_block, n_peaks = _contour_functionals(contours, valid)
    voice, is_voice = raw.voice[:, 1:], (raw.voice[:, 1:] != 0) & counted[:, None]
    return {
        "f0": f0_block,
        "loudness": loudness_block,
        "spectral": _interleave(functionals.mean_and_cv(spectral[:, 5:], raw.valid_20ms[:, None])),
        "voice": _interleave(functionals.mean_and_cv(voice, is_voice)),
        "voicing": _voicing_functionals(raw, counted),
        "rhythm": _rhythm_functionals(raw, counted, n_peaks),
    }


def _interleave(statistics: tuple[Tensor, ...]) -> Tensor:
    """Join statistics, (batch, series) each, to (batch, series * statistics), those of a series side by side."""
    return torch.stack(statistics, dim=-1).flatten(1)


def _counted_frames(voiced: Tensor, valid: Tensor) -> Tensor:
    """Mark the frames that count towards the functionals of voice: (batch, frames) bool.

    A row's last frame serves only the smoothing of the one before it. Where voice lasts to within three frames of the
    end, its last frames are left out, as openSMILE leaves them out when the sound stops before its F0 path is settled.
    """
    n_valid = valid.sum(-1)
    index = torch.arange(valid.shape[1], device=valid.device)
    last_voiced = torch.where(voiced, index, -1).amax(-1)
    n = torch.where(last_voiced >= n_valid - 3, torch.minimum(last_voiced, n_valid - 2), n_valid - 1)
    return frames.length_mask(n.clamp_min(1), valid.shape[1])


def _contour_functionals(
    contours: Tensor,  # (2, batch, frames): F0 and loudness
    valid: Tensor,  # (2, batch, frames) bool
) -> tuple[Tensor, Tensor, Tensor]:  # (batch, len(_CONTOUR_STATISTICS)) of F0, and of loudness; (batch,)
    """Compute the statistics of both contours, and the number of peaks of loudness."""
    series, masks = contours.flatten(0, 1), valid.flatten(0, 1)
    slope = slopes.contour_slopes(series, masks, hop_s=HOP_S)
    levels = (*functionals.mean_and_cv(series, masks), *functionals.percentiles(series, masks))
    table = torch.cat([torch.stack(levels, dim=-1), slope.rising, slope.falling], dim=-1)
    f0, loudness = table.view(2, -1, len(_CONTOUR_STATISTICS))
    return f0, loudness, slope.peaks.view(contours.shape)[1].sum(-1)


def _voicing_functionals(raw: RawDescriptors, counted: Tensor) -> Tensor:
    """Compute the spectral functionals over voiced and over unvoiced frames apart."""
    spectral = raw.spectral[..., : counted.shape[1]]
    is_voiced, is_unvoiced = raw.voiced[:, None], (raw.valid_60ms & ~raw.voiced)[:, None]
    voiced = functionals.smooth_valid(spectral[:, 1:], is_voiced)
    unvoiced = functionals.smooth_valid(spectral[:, 1:6], is_unvoiced)
    counted = counted[:, None]
    voiced_columns = _interleave(functionals.mean_and_cv(voiced, (voiced != 0) & counted))
    return torch.cat([voiced_columns, frames.masked_mean(unvoiced, (unvoiced != 0) & counted)], dim=1)


def _rhythm_functionals(raw: RawDescriptors, counted: Tensor, n_peaks: Tensor) -> Tensor:
    """Compute rates of loudness peaks and voiced segments, segments' lengths, and the level."""
    n_voiced, *voiced_s = functionals.segment_statistics(raw.voiced, counted, hop_s=HOP_S)
    _, *unvoiced_s = functionals.segment_statistics(raw.valid_60ms & ~raw.voiced, counted, hop_s=HOP_S)
    level = frames.masked_mean(raw.power, raw.valid_20ms).clamp_min(1e-12)
    columns = (
        n_peaks / (raw.valid_20ms.sum(-1) * HOP_S),
        n_voiced / (counted.sum(-1) * HOP_S),
        *voiced_s,
        *unvoiced_s,
        10 * level.log10(),
    )
    return torch.stack(columns, dim=-1)
