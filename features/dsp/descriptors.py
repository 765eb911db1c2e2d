"""The 25 low-level descriptors of eGeMAPS by frame.

Two analyses share a hop of 10 ms: 20 ms under a Hamming window for the spectrum, 60 ms under a Gaussian for F0 and its
harmonics (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016). Analyses that cost more than a spectrum are done
for voiced frames only, for those of all rows together.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from data_contracts.errors import UsageError
from features.dsp import (
    auditory,
    f0,
    formants,
    frames,
    functionals,
    harmonics,
    jitter_shimmer,
    polynomials,
    spectral_balance,
    spectrum,
    subharmonics,
    viterbi,
)
from features.dsp.formants import N_FORMANTS
from features.dsp.subharmonics import F0Range

VERSION = "descriptors-2"
VERSIONED_MODULES = (  # their VERSIONs are part of the fingerprint
    auditory,
    spectral_balance,
    f0,
    formants,
    functionals,
    harmonics,
    jitter_shimmer,
    polynomials,
    spectrum,
    subharmonics,
    viterbi,
)
HOP_S, SPECTRUM_S = 0.010, 0.020
SEMITONE_ZERO_HZ = 27.5
MAX_KEPT_FRAMES = {"cpu": 1 << 15, "cuda": 1 << 20}  # beyond it, voiced frames' spectra are computed again

SPECTRAL_NAMES = (
    "Loudness_sma3",
    "alphaRatio_sma3",
    "hammarbergIndex_sma3",
    "slope0-500_sma3",
    "slope500-1500_sma3",
    "spectralFlux_sma3",
    "mfcc1_sma3",
    "mfcc2_sma3",
    "mfcc3_sma3",
    "mfcc4_sma3",
)
VOICE_NAMES = (
    "F0semitoneFrom27.5Hz_sma3nz",
    "jitterLocal_sma3nz",
    "shimmerLocaldB_sma3nz",
    "HNRdBACF_sma3nz",
    "logRelF0-H1-H2_sma3nz",
    "logRelF0-H1-A3_sma3nz",
    *(f"F{place}{what}_sma3nz" for place in (1, 2, 3) for what in ("frequency", "bandwidth", "amplitudeLogRelF0")),
)
_FREQUENCIES, _BANDWIDTHS, _AMPLITUDES = (
    [VOICE_NAMES.index(f"F{place}{what}_sma3nz") for place in (1, 2, 3)]
    for what in ("frequency", "bandwidth", "amplitudeLogRelF0")
)
_JITTER_SHIMMER = slice(1, 3)  # jitter and shimmer, in VOICE_NAMES
_HARMONIC_COLUMNS = [0, 3, 4, 5, *_AMPLITUDES]


class RawDescriptors(NamedTuple):
    """Descriptors by frame, 0 beyond a row's length. There are up to four more frames of 20 ms than of 60 ms."""

    spectral: Tensor  # (batch, len(SPECTRAL_NAMES), frames of 20 ms), not smoothed
    power: Tensor  # (batch, frames of 20 ms): mean square
    voice: Tensor  # (batch, len(VOICE_NAMES), frames of 60 ms), smoothed, 0 where missing
    voiced: Tensor  # (batch, frames of 60 ms) bool
    valid_20ms: Tensor  # (batch, frames of 20 ms) bool
    valid_60ms: Tensor  # (batch, frames of 60 ms) bool


class _Plan(NamedTuple):
    """Sizes in samples."""

    sample_rate: int
    hop: int
    short: int  # the spectrum's frame
    long: int  # F0's
    f0_range: F0Range


def compute_descriptors(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    sample_rate: int,
    f0_range: F0Range,
) -> RawDescriptors:
    """Compute all descriptors of all frames. Raises UsageError below 16 kHz, and where shapes or range do not fit."""
    if sample_rate < 2 * auditory.MAX_HZ:
        raise UsageError(
            f"expected a sample rate of at least {2 * auditory.MAX_HZ:g} Hz, found {sample_rate}: resample before"
        )
    f0.check_range(f0_range, sample_rate)
    hop, short, long = (
        frames.to_samples(seconds, sample_rate) for seconds in (HOP_S, SPECTRUM_S, subharmonics.FRAME_S)
    )
    plan = _Plan(sample_rate, hop, short, long, f0_range)
    waveform = frames.zero_padding(frames.nan_to_zero(waveform, limit=1.0), lengths).float()
    waveform = (waveform * 2.0**15).trunc() / 2.0**15  # less than a step of 16 bits is silence
    waveform = torch.nn.functional.pad(waveform, (0, max(0, long - waveform.shape[1])))
    valid_20ms, valid_60ms = (
        frames.length_mask(
            frames.n_frames(lengths, window=window, hop=hop),
            frames.max_frames(waveform.shape[1], window=window, hop=hop),
        )
        for window in (short, long)
    )
    power = torch.nn.functional.avg_pool1d(waveform.square()[:, None], short, hop)[:, 0]
    track, spectra = _track(waveform, valid_60ms, plan)
    voice = torch.where(valid_60ms[:, None], _voice(waveform, track.f0_hz, spectra, valid_60ms, plan), 0.0)
    spectral = torch.where(valid_20ms[:, None], _spectral(waveform, plan), 0.0)
    return RawDescriptors(spectral, power, voice, track.f0_hz > 0, valid_20ms, valid_60ms)


def _spectral(waveform: Tensor, plan: _Plan) -> Tensor:
    """Compute (batch, len(SPECTRAL_NAMES), frames), all from one spectrum."""
    n_fft = spectrum.fft_size(plan.short)
    scale = (512 * 320 / (n_fft * plan.short)) ** 0.5  # to the power that 320 samples have in 512 bins
    taper = spectrum.hamming(plan.short, waveform.device) * scale
    chunks: list[Tensor] = []
    for chunk in spectrum.iter_chunks(waveform, window=plan.short, hop=plan.hop, overlap=1):
        new = slice(1 if chunks else 0, None)  # the overlapping frame serves the flux alone
        power = spectrum.power_spectrum(chunk, taper=taper, hop=plan.hop, n_fft=n_fft)
        shape = spectral_balance.spectral_balance(power, sample_rate=plan.sample_rate)[:, new]
        loudness, cepstra = auditory.loudness_and_mfcc(power[:, new], sample_rate=plan.sample_rate)
        chunks.append(torch.cat([loudness[..., None], shape, cepstra], dim=-1))
    return torch.cat(chunks, dim=1).mT.contiguous()


def _track(waveform: Tensor, valid: Tensor, plan: _Plan) -> tuple[f0.F0Track, Tensor | None]:
    """Track F0; return its spectra too, (batch, frames, bins), where they are few enough to be kept."""
    spectra = None
    if valid.numel() <= MAX_KEPT_FRAMES.get(valid.device.type, 0):
        spectra = waveform.new_empty(*valid.shape, subharmonics.fft_size(plan.sample_rate) // 2 + 1)
    track = f0.track_frames(
        waveform, valid, hop=plan.hop, sample_rate=plan.sample_rate, f0_range=plan.f0_range, spectra=spectra
    )
    return track, spectra


def _voice(waveform: Tensor, f0_hz: Tensor, spectra: Tensor | None, valid: Tensor, plan: _Plan) -> Tensor:
    """Compute (batch, len(VOICE_NAMES), frames), smoothed; unvoiced: 0, the formants' levels harmonics.MISSING_DB.

    Formants are smoothed across the ends of a voiced stretch, so they are computed one frame beyond either end.
    """
    voiced = f0_hz > 0
    near = voiced.clone()
    near[:, 1:] |= voiced[:, :-1]
    near[:, :-1] |= voiced[:, 1:]
    poles = functionals.smooth_valid(_poles(waveform, near & valid, plan), valid)
    table = torch.zeros(len(VOICE_NAMES), *f0_hz.shape, device=waveform.device)
    table[_AMPLITUDES] = harmonics.MISSING_DB
    perturbation = jitter_shimmer.jitter_and_shimmer(waveform, f0_hz, hop=plan.hop, sample_rate=plan.sample_rate)
    table[_JITTER_SHIMMER] = torch.stack(perturbation)
    for index in _frame_batches(voiced, sort_by=f0_hz):
        if spectra is None:
            power = subharmonics.harmonic_power(
                waveform.unfold(-1, plan.long, plan.hop)[index], sample_rate=plan.sample_rate
            )
        else:
            power = spectra[index]
        formants_hz = poles[:N_FORMANTS, index[0], index[1]].T
        columns = _harmonic_columns(power, f0_hz[index], formants_hz, plan)
        for column, values in zip(_HARMONIC_COLUMNS, columns, strict=True):
            table[column][index] = values
    table = functionals.smooth_valid(table, valid)
    table[_FREQUENCIES] = torch.where(voiced, poles[:N_FORMANTS], 0.0)
    table[_BANDWIDTHS] = torch.where(voiced, poles[N_FORMANTS:], 0.0)
    return table.transpose(0, 1)


def _poles(waveform: Tensor, wanted: Tensor, plan: _Plan) -> Tensor:
    """Compute formants of the `wanted` frames: (2 * N_FORMANTS, batch, frames), frequencies, then bandwidths."""
    table = torch.zeros(2 * N_FORMANTS, *wanted.shape, device=waveform.device)
    for index in _frame_batches(wanted):
        framed = waveform.unfold(-1, plan.short, plan.hop)[index]
        values = torch.cat(formants.egemaps_poles(framed, sample_rate=plan.sample_rate), dim=-1)
        table[:, index[0], index[1]] = values.T
    return table


def _frame_batches(wanted: Tensor, *, sort_by: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows and frames of the `wanted` frames, in batches that bound memory; optionally sorted by a value."""
    row, frame = wanted.nonzero(as_tuple=True)
    if sort_by is not None:
        order = sort_by[row, frame].argsort()
        row, frame = row[order], frame[order]
    step = 2 * spectrum.chunk_frames(wanted.device)
    for first in range(0, len(row), step):
        yield row[first : first + step], frame[first : first + step]


def _harmonic_columns(power: Tensor, f0_hz: Tensor, formants_hz: Tensor, plan: _Plan) -> list[Tensor]:
    """Compute the columns _HARMONIC_COLUMNS, each (n,), from (n, bins), (n,) and (n, N_FORMANTS) of voiced frames."""
    hnr = harmonics.harmonics_to_noise_db(power, f0_hz, sample_rate=plan.sample_rate)
    h1_h2, h1_a3, level = harmonics.harmonic_levels_db(power, f0_hz, formants_hz, sample_rate=plan.sample_rate)
    semitone = 12 * (f0_hz / SEMITONE_ZERO_HZ).log2()
    return [semitone, hnr, h1_h2, h1_a3, *level.unbind(-1)]
