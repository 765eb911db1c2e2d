"""Voice activity detection: probabilities of speech and powers of each 32 ms, of whole waveforms or streaming."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from features.dsp.batching import map_batches, max_batch_samples
from features.segmentation.config import CHUNK, VadConfig
from features.segmentation.energy_vad import chunk_levels_db, energy_probabilities, probabilities_from_levels
from features.segmentation.segments import Span, speech_segments
from features.segmentation.silero_vad import SpeechStream, speech_probabilities

_SAMPLE_RATE = 16_000
_BATCH_S = 240  # on a core


@dataclass(frozen=True)
class SpeechActivity:
    """Voice activity of one signal: a probability of speech and the mean square of each chunk of 512 samples."""

    probabilities: np.ndarray  # (chunks,), 0 to 1
    powers: np.ndarray  # (chunks,), full scale 1

    def spans(self, *, seconds: float, config: VadConfig) -> list[Span]:
        """Return the spans of speech of a signal that lasts `seconds`."""
        return speech_segments(self.probabilities, seconds=seconds, config=config)


@dataclass(frozen=True)
class ChannelSpeech:
    """Voice activity of one channel of a recording, and its spans of speech."""

    activity: SpeechActivity
    spans: list[Span]


def detect_speech(waveforms: Sequence[np.ndarray], config: VadConfig, device: torch.device) -> list[SpeechActivity]:
    """Detect the speech of each (time,) waveform at 16 kHz, in batches of similar length."""
    powers = [chunk_powers(waveform) for waveform in waveforms]
    method = energy_probabilities if config.method == "energy" else speech_probabilities

    def compute(waveform: torch.Tensor, lengths: torch.Tensor) -> list[np.ndarray]:
        return [*method(waveform, lengths).cpu().numpy()]

    probabilities = map_batches(compute, waveforms, device, max_samples=max_batch_samples(device, cpu_s=_BATCH_S))
    return [SpeechActivity(row[: len(power)], power) for row, power in zip(probabilities, powers, strict=True)]


class StreamingDetector:
    """Streaming `detect_speech` of one signal that comes window by window."""

    def __init__(self, config: VadConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        self._stream = SpeechStream(device) if config.method == "silero" else None
        self._parts: list[torch.Tensor] = []  # (chunks,): probabilities (silero) or levels in dB (energy)
        self._powers: list[np.ndarray] = []
        self._n_samples = 0

    def add(self, samples: np.ndarray) -> None:
        """Add the next (time,) samples: whole chunks, but for the last window."""
        self._n_samples += len(samples)
        self._powers.append(chunk_powers(samples))
        waveform = torch.tensor(samples, device=self._device)
        self._parts.append(self._stream.add(waveform) if self._stream else chunk_levels_db(waveform[None])[0])

    def finish(self) -> ChannelSpeech:
        """Return the activity and spans of the whole signal."""
        activity = self._activity()
        return ChannelSpeech(activity, activity.spans(seconds=self._n_samples / _SAMPLE_RATE, config=self._config))

    def _activity(self) -> SpeechActivity:
        powers = np.concatenate([np.empty(0, np.float32), *self._powers])
        values = torch.cat([torch.empty(0, device=self._device), *self._parts])
        if self._stream is None:
            values = probabilities_from_levels(values[None], torch.ones_like(values[None], dtype=torch.bool))[0]
        return SpeechActivity(values.cpu().numpy(), powers)


def chunk_powers(waveform: np.ndarray) -> np.ndarray:
    """Return the mean square of each 512 samples, (chunks,) float32; the last chunk may be shorter."""
    n_whole = len(waveform) // CHUNK * CHUNK
    chunks, rest = waveform[:n_whole].reshape(-1, CHUNK), waveform[n_whole:]
    powers = np.einsum("ct,ct->c", chunks, chunks) / np.float32(CHUNK)
    return np.append(powers, np.float32(np.mean(np.square(rest)))) if len(rest) else powers


def speech_mask(spans: Sequence[Span], n_chunks: int) -> np.ndarray:
    """Mark the chunks that lie in a span: (chunks,) bool."""
    mask = np.zeros(n_chunks, bool)
    for span in spans:
        mask[round(span.start_s * _SAMPLE_RATE / CHUNK) : round(span.end_s * _SAMPLE_RATE / CHUNK)] = True
    return mask
