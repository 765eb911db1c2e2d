"""Signal-to-noise ratio of speech, from the power of chunks and the detected speech.

The noise is measured in the pauses. Its level is their interquartile mean: breaths, clicks and missed speech are above
it. Without pauses the noise is taken from the quietest speech, as in the minimum statistics of Martin (IEEE Trans.
Speech and Audio Processing 9(5), 2001).
"""

import numpy as np

VERSION = "snr-1"
_MIN_PAUSE_CHUNKS = 15  # chunks, half a second: fewer are not trusted
_QUIETEST_SHARE = 0.1  # of all chunks, where pauses are missing
_RANGE_DB = (-20.0, 100.0)


def snr_db(
    power: np.ndarray,  # (chunks,), mean square of each 32 ms
    speech: np.ndarray,  # (chunks,) bool
) -> float | None:
    """Return speech power without noise over noise power, clipped to -20 to 100 dB; None without speech.

    Chunks of digital silence do not count as noise: a muted line hides the noise under the voice.
    """
    power = power.astype(np.float64)
    if not speech.any() or not power[speech].any():
        return None
    sounding = power > 0
    pauses = np.sort(power[sounding & ~speech])
    if len(pauses) >= _MIN_PAUSE_CHUNKS:
        noise = pauses[len(pauses) // 4 : -(len(pauses) // 4)].mean()
    else:
        quietest = np.sort(power[sounding])
        noise = quietest[: max(1, round(_QUIETEST_SHARE * len(quietest)))].mean()
    above = power[speech].mean() - noise
    lowest, highest = (10 ** (db / 10) for db in _RANGE_DB)
    return float(10 * np.log10(np.clip(above / noise, lowest, highest)))
