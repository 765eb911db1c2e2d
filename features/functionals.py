"""One row of numbers an utterance: statistics of timbre, level, spectrum, harmonicity and melody over its frames.

In the spirit of eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016), with MFCC instead of formants.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from data_contracts.fingerprint import fingerprint
from features import f0, frames, mel, spectrum
from features.mel import MelConfig

VERSION = "functionals-1"
N_MFCC = 13  # coefficients 1 to 13; 0, the level, is told by energy and loudness
LOWEST_SEMITONE_HZ = 27.5
PERIODICITY_LIMIT = 0.01  # harmonicity ends at 10 log10(0.99 / 0.01), about 20 dB, either side
PEAK_REACH_S = 0.06  # a loudness peak is the largest this far to either side
PEAK_RISE = 1.15  # and this many times the smallest there, on both sides

FRAME_NAMES = (
    *(f"mfcc_{index:02d}" for index in range(1, N_MFCC + 1)),
    "harmonicity_db",
    *spectrum.DESCRIPTOR_NAMES,
    "loudness",
)
_DETAILED = slice(N_MFCC + 1, None)  # the columns that get percentiles and a voiced spread besides
_QUANTILES = (0.2, 0.5, 0.8)
_F0_NAMES = (
    "f0_semitone_mean",
    "f0_semitone_sd",
    "f0_semitone_p20",
    "f0_semitone_p50",
    "f0_semitone_p80",
    "f0_semitone_range",
    "f0_rise_semitone_per_s_mean",
    "f0_rise_semitone_per_s_sd",
    "f0_fall_semitone_per_s_mean",
    "f0_fall_semitone_per_s_sd",
)
_RHYTHM_NAMES = ("voiced_share", "voiced_per_s", "voiced_segment_s", "loudness_peaks_per_s")
FUNCTIONAL_NAMES: tuple[str, ...] = (
    *(f"{name}_{what}" for what in ("mean", "sd", "delta_sd", "voiced_mean") for name in FRAME_NAMES),
    *(f"{name}_{what}" for name in FRAME_NAMES[_DETAILED] for what in ("p20", "p50", "p80")),
    *(f"{name}_voiced_sd" for name in FRAME_NAMES[_DETAILED]),
    *_F0_NAMES,
    *_RHYTHM_NAMES,
)


@dataclass(frozen=True)
class FunctionalsConfig:
    """What steers `functionals`: frames and bands (`mel`), and where F0 is looked for."""

    mel: MelConfig = field(default_factory=MelConfig)
    f0_min_hz: float = 55.0
    f0_max_hz: float = 600.0

    def fingerprint(self) -> str:
        """This configuration and the versions of all code behind it in 12 hex digits."""
        return fingerprint(self, VERSION, mel.VERSION, spectrum.VERSION, f0.VERSION)


def functionals(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    config: FunctionalsConfig = FunctionalsConfig(),
    sample_rate: int = 16_000,
) -> Tensor:  # (batch, len(FUNCTIONAL_NAMES)), float32
    """Statistics in the order of FUNCTIONAL_NAMES, finite whatever comes in; a unit is in the name where there is one.

    `_sd` and `_delta_sd` are spreads of frames and of their changes; `_voiced_` is over voiced frames; F0 is in
    semitones from 27.5 Hz, its range from p20 to p80. Non-finite samples count as zero. What has nothing to be taken
    over is 0: F0 and `_voiced_` where nothing is voiced (silence, a constant, whispering), spreads of one frame. An
    utterance shorter than a frame has one. Padding, batch and neighbours change a value by at most 1e-4 of it, or 1e-3
    near zero. Raises UsageError when configuration, sample rate or shapes do not fit.
    """
    waveform = frames.silence_padding(waveform.nan_to_num(0.0, 0.0, 0.0), lengths)
    table, n_frames = _frame_table(waveform, lengths, config=config, sample_rate=sample_rate)
    track = f0.f0_track(
        waveform,
        lengths,
        sample_rate=sample_rate,
        f0_min_hz=config.f0_min_hz,
        f0_max_hz=config.f0_max_hz,
        hop_s=config.mel.hop_s,
        frame_s=config.mel.frame_s,
    )
    periodicity = track.voicing.clamp(PERIODICITY_LIMIT, 1 - PERIODICITY_LIMIT)
    table[:, N_MFCC] = 10 * (periodicity / (1 - periodicity)).log10()
    valid = frames.mask(n_frames, table.shape[-1])
    parts = (
        _of_frames(table, valid, track.f0_hz > 0),
        _of_melody(track.f0_hz, hop_s=config.mel.hop_s),
        _of_rhythm(track.f0_hz > 0, table[:, -1], valid, hop_s=config.mel.hop_s),
    )
    return torch.cat(parts, dim=-1)


def _frame_table(
    waveform: Tensor, lengths: Tensor, *, config: FunctionalsConfig, sample_rate: int
) -> tuple[Tensor, Tensor]:
    """(batch, len(FRAME_NAMES), frames), harmonicity still 0, and (batch,) frames that count: one STFT for all."""
    window = frames.samples(config.mel.frame_s, sample_rate)
    hop = frames.samples(config.mel.hop_s, sample_rate)
    chunks: list[Tensor] = []
    for power in spectrum.power_in_chunks(waveform, window=window, hop=hop, n_fft=config.mel.n_fft, overlap=1):
        new = slice(1 if chunks else 0, None)  # the overlapping frame serves the flux alone
        log_mel = mel.log_mel_of_power(power[:, new], config=config.mel, sample_rate=sample_rate)
        cepstra = mel.mfcc(log_mel, n_mfcc=N_MFCC + 1)[..., 1:]
        shape = spectrum.descriptors(power, sample_rate=sample_rate)[:, new]
        harmonicity = torch.zeros_like(shape[..., :1])
        loudness = (0.3 * log_mel).exp().sum(-1, keepdim=True)  # the ear's cube root (Hermansky, PLP, 1990), as eGeMAPS
        chunks.append(torch.cat([cepstra, harmonicity, shape, loudness], dim=-1))
    return torch.cat(chunks, dim=1).mT.contiguous(), frames.count(lengths, window=window, hop=hop)


def _of_frames(table: Tensor, valid: Tensor, voiced: Tensor) -> Tensor:
    valid, voiced = valid[:, None], voiced[:, None]
    change, both = table[..., 1:] - table[..., :-1], valid[..., 1:]
    detailed = table[:, _DETAILED]
    parts = (
        frames.masked_mean(table, valid),
        frames.masked_sd(table, valid),
        frames.masked_sd(change, both),
        frames.masked_mean(table, voiced),
        frames.masked_quantiles(detailed, valid, _QUANTILES).flatten(1),
        frames.masked_sd(detailed, voiced),
    )
    return torch.cat(parts, dim=-1)


def _of_melody(f0_hz: Tensor, *, hop_s: float) -> Tensor:
    voiced = f0_hz > 0
    semitone = 12 * (torch.where(voiced, f0_hz, LOWEST_SEMITONE_HZ) / LOWEST_SEMITONE_HZ).log2()
    slope = (semitone[:, 1:] - semitone[:, :-1]) / hop_s
    within = voiced[:, 1:] & voiced[:, :-1]
    rising, falling = within & (slope > 0), within & (slope < 0)
    quantiles = frames.masked_quantiles(semitone, voiced, _QUANTILES)
    columns = (
        frames.masked_mean(semitone, voiced),
        frames.masked_sd(semitone, voiced),
        *quantiles.unbind(-1),
        quantiles[:, -1] - quantiles[:, 0],
        frames.masked_mean(slope, rising),
        frames.masked_sd(slope, rising),
        frames.masked_mean(slope, falling),
        frames.masked_sd(slope, falling),
    )
    return torch.stack(columns, dim=-1)


def _of_rhythm(voiced: Tensor, loudness: Tensor, valid: Tensor, *, hop_s: float) -> Tensor:
    n_valid, n_voiced = valid.sum(-1), voiced.sum(-1)
    n_segments = voiced[:, 0].long() + (voiced[:, 1:] & ~voiced[:, :-1]).sum(-1)
    columns = (
        n_voiced / n_valid,
        n_segments / (n_valid * hop_s),
        n_voiced * hop_s / n_segments.clamp_min(1),
        _peaks(loudness, valid, reach=round(PEAK_REACH_S / hop_s)).sum(-1) / (n_valid * hop_s),
    )
    return torch.stack(columns, dim=-1)


def _peaks(loudness: Tensor, valid: Tensor, *, reach: int) -> Tensor:
    """Frames (batch, frames) louder than all within `reach`, and clearly louder than the quietest on either side."""
    pool = torch.nn.functional.max_pool1d
    ends = torch.nn.functional.pad(torch.where(valid, loudness, -torch.inf), (reach, reach), value=-torch.inf)
    largest = pool(ends, 2 * reach + 1, stride=1)
    ends = torch.nn.functional.pad(torch.where(valid, -loudness, -torch.inf), (reach, reach), value=-torch.inf)
    smallest = -pool(ends, reach + 1, stride=1)  # of frames t - reach to t, at index t
    before, behind = smallest[:, : loudness.shape[1]], smallest[:, reach:]
    return valid & (loudness >= largest) & (loudness > PEAK_RISE * torch.maximum(before, behind))
