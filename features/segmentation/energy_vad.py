"""Voice activity by energy alone: chunks that stand out of the recording's own noise.

For studio recordings and for machines too small for `features.segmentation.silero_vad`, which it can replace: the shape
is the same, and `features.segmentation.segments` makes segments of it with the same thresholds. Every loud sound counts
as speech: music, a door, a cough.
"""

import torch
from torch import Tensor

from features.dsp import frames
from features.segmentation.config import CHUNK

_BINS = slice(4, 128)  # of 31.25 Hz: 125 Hz to 4 kHz, above hum and below most hiss
_QUANTILES = (0.1, 0.98)  # of a recording's levels: its noise, its loud speech
_RANGE_DB = 60.0  # below loud speech, everything is silence
_EVEN_SHARE = 0.3  # of the way from noise to loud speech, a chunk is as likely speech as not
_MIN_RISE_DB, _MAX_RISE_DB = 6.0, 25.0  # of that point above the noise
_SLOPE_DB = 3.0  # the odds of speech grow e-fold
_MIN_POWER = 1e-30  # power
_MAX_CHUNKS = 4_096  # all recordings together: bounds memory


@torch.no_grad()
def energy_probabilities(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1] at 16 kHz
    lengths: Tensor,  # (batch,), valid samples
) -> Tensor:  # (batch, chunks)
    """Compute the probability of speech in each 512 samples (32 ms), 0 to 1, exactly 0 in chunks beyond `lengths`.

    The last chunk is filled up with zeros. The result does not depend on a recording's level, but on all of its
    content: the levels of noise and loud speech are quantiles over the whole recording. Raises UsageError when the
    shapes do not fit. Beside one copy of the waveform, memory does not grow with its length.
    """
    waveform = frames.zero_padding(waveform, lengths)
    n_rows, time = waveform.shape
    n_chunks = -(-time // CHUNK)
    if not n_chunks:
        return waveform.new_zeros(n_rows, 0)
    return probabilities_from_levels(chunk_levels_db(waveform), frames.length_mask(-(-lengths // CHUNK), n_chunks))


def probabilities_from_levels(
    level_db: Tensor,  # (batch, chunks), of whole recordings
    valid: Tensor,  # (batch, chunks) bool
) -> Tensor:  # (batch, chunks)
    """Compute the probability of speech in each chunk from its level among all of its recording's."""
    noise_db, loud_db = frames.masked_quantiles(level_db, valid, _QUANTILES).unbind(-1)
    noise_db = torch.maximum(noise_db, loud_db - _RANGE_DB)
    even_db = noise_db + (_EVEN_SHARE * (loud_db - noise_db)).clamp(_MIN_RISE_DB, _MAX_RISE_DB)
    return torch.where(valid, torch.sigmoid((level_db - even_db[:, None]) / _SLOPE_DB), 0.0)


@torch.no_grad()
def chunk_levels_db(waveform: Tensor) -> Tensor:  # (batch, time) to (batch, chunks)
    """Compute the power of each chunk between 125 Hz and 4 kHz, Hann-windowed, in dB; the last is zero-padded."""
    n_chunks = -(-waveform.shape[1] // CHUNK)
    window = torch.hann_window(CHUNK, device=waveform.device, dtype=waveform.dtype)
    step = max(1, _MAX_CHUNKS // len(waveform)) * CHUNK
    powers = []
    for start in range(0, n_chunks * CHUNK, step):
        piece = frames.nan_to_zero(waveform[:, start : start + step])
        filled = torch.nn.functional.pad(piece, (0, -piece.shape[1] % CHUNK))
        spectrum = torch.fft.rfft(filled.view(len(filled), -1, CHUNK) * window)[..., _BINS]
        powers.append(torch.view_as_real(spectrum).square().sum((-2, -1)))
    return 10 * torch.cat(powers, dim=1).add(_MIN_POWER).log10()
