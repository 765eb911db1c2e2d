"""Samples of FFmpeg's frames: of any format and layout, as interleaved float32."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

_MAX_PLANES = 7  # of more, PyAV 18.1 reads past the list: its end is only marked in a list of eight
_SCALES = {"u8": 2.0**-7, "s16": 2.0**-15, "s32": 2.0**-31, "s64": 2.0**-63, "flt": 1.0, "dbl": 1.0}
_DTYPES: dict[str, Any] = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "s64": np.int64,
    "flt": np.float32,
    "dbl": np.float64,
}


def converter(n_channels: int) -> Callable[["AudioFrame"], np.ndarray]:
    """Return a function that converts a frame to (frames, channels) float32, full scale at 1."""
    return _interleave if n_channels <= _MAX_PLANES else _swresample_converter()


def _interleave(frame: "AudioFrame") -> np.ndarray:
    """Convert a frame to (frames, channels) float32, full scale at 1."""
    sample, n_channels = frame.format.name.removesuffix("p"), frame.layout.nb_channels
    planes: list[Any] = list(frame.planes)
    n_each = frame.samples if frame.format.is_planar else frame.samples * n_channels
    arrays = [np.frombuffer(plane, _DTYPES[sample], n_each) for plane in planes[:n_channels]]
    samples = np.stack(arrays, axis=1) if frame.format.is_planar else arrays[0].reshape(-1, n_channels)
    if sample == "flt":
        return samples.copy()  # the frame's memory is FFmpeg's
    with np.errstate(over="ignore", invalid="ignore"):  # doubles beyond float32: the reader finds the infinity
        scaled = samples.astype(np.float32) * np.float32(_SCALES[sample])
    return scaled - 1 if sample == "u8" else scaled


def _swresample_converter() -> Callable[["AudioFrame"], np.ndarray]:
    """Return `_interleave` for more planes than PyAV can count: libswresample interleaves them."""
    import av

    resampler = av.AudioResampler(format="flt")

    def convert(frame: "AudioFrame") -> np.ndarray:
        if not frame.format.is_planar:
            return _interleave(frame)
        frame.pts = None
        return np.concatenate([_interleave(converted) for converted in resampler.resample(frame)])

    return convert
