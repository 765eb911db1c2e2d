"""Time of decoded frames by their container's clock: silence where the clock says that a track begins late or pauses.

Timestamps are believed while they are plausible. Where they are not (far ahead, backwards), the audio is laid end to
end, so that none is lost, and `flaws` say so. Jitter, an encoder's delay and lost packets of less than a tenth of a
second in all are no gap: FFmpeg's own `aresample=async` fills from the same difference on.
"""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

CLOCKED = frozenset({"asf", "flv", "matroska", "mp4", "mpeg", "mpegts", "quicktime"})
"""Containers whose packets carry times; elsewhere (avi, realmedia, streams of frames) audio is laid end to end."""

MAX_SILENCE_S = 4 * 3600.0  # filled in all in a recording
_GAP_S = 0.1
_OVERLAP_S = 1.0  # a clock that is behind by more was set anew
_N_FOLLOWING = 16  # frames that show whether the clock really jumped, or one packet has a wrong time
_WRAP_S = {"mpegts": 2**33 / 90_000, "mpeg": 2**33 / 90_000}  # ISO/IEC 13818-1, 2.4.3.7: 33 bits at 90 kHz

Timed = tuple["AudioFrame", float | None]
"""A frame, and its time in seconds where it has one."""


class Clock:
    """Clock of one track, by the rules of its container; without a container, audio is laid end to end.

    `start_s` is where the container's clock begins, `end_s` where it says that it ends.
    """

    def __init__(self, container: str | None, start_s: float | None, end_s: float | None = None) -> None:
        self._is_used, self._wrap_s = container is not None, _WRAP_S.get(container or "")
        self._offset_s, self._end_s = start_s, end_s  # laid time 0 is at `_offset_s`
        self._laid_s = self._silence_s = 0.0
        self._jumps: list[str] = []

    @property
    def flaws(self) -> list[str]:
        """Return in words the jumps that were not followed, up to the last frame that was laid."""
        if not self._jumps:
            return []
        others = f" (and {len(self._jumps) - 1} more jumps)" if len(self._jumps) > 1 else ""
        return [f"the container's clock jumps {self._jumps[0]}{others}: audio is laid end to end there"]

    def lay(self, frames: Iterator[Timed]) -> Iterator[tuple[int, "AudioFrame"]]:
        """Yield each frame behind the number of silent samples that come before it."""
        waiting: deque[Timed] = deque()
        for timed in frames:
            waiting.append(timed)
            if len(waiting) > _N_FOLLOWING:
                yield self._place(waiting)
        while waiting:
            yield self._place(waiting)

    def _place(self, waiting: "deque[Timed]") -> tuple[int, "AudioFrame"]:
        frame, time_s = waiting.popleft()
        n_silent = round(self._gap_s(frame, time_s, waiting) * frame.sample_rate)
        self._silence_s += n_silent / frame.sample_rate
        self._laid_s += (n_silent + frame.samples) / frame.sample_rate
        return n_silent, frame

    def _gap_s(self, frame: "AudioFrame", time_s: float | None, following: "deque[Timed]") -> float:
        ahead_s = self._ahead_s(time_s, self._laid_s)
        if -_OVERLAP_S <= ahead_s <= _GAP_S:
            return 0.0
        if self._returns(frame, following):
            if ahead_s > _OVERLAP_S:  # else no more than jitter
                self._note(ahead_s)
        elif ahead_s < 0 or not self._is_plausible(ahead_s):
            self._note(ahead_s)
            self._offset_s = (self._offset_s or 0.0) + ahead_s
        else:
            return ahead_s
        return 0.0

    def _ahead_s(self, time_s: float | None, laid_s: float) -> float:
        """Return how far a time lies beyond what is laid by then; 0 without a time."""
        if time_s is None or not self._is_used:
            return 0.0
        if self._offset_s is None:
            self._offset_s = time_s
        ahead_s = time_s - self._offset_s - laid_s
        if self._wrap_s:
            ahead_s = (ahead_s + self._wrap_s / 2) % self._wrap_s - self._wrap_s / 2
        return ahead_s

    def _returns(self, frame: "AudioFrame", following: "deque[Timed]") -> bool:
        """Tell whether a frame soon after is back on the old clock."""
        laid_s = self._laid_s + frame.samples / frame.sample_rate
        for later, time_s in following:
            if time_s is not None and abs(self._ahead_s(time_s, laid_s)) <= _GAP_S / 2:
                return True
            laid_s += later.samples / later.sample_rate
        return False

    def _is_plausible(self, gap_s: float) -> bool:
        ends_s = self._laid_s + gap_s + (self._offset_s or 0.0)
        in_file = self._end_s is None or ends_s <= self._end_s + _OVERLAP_S
        return in_file and self._silence_s + gap_s <= MAX_SILENCE_S

    def _note(self, ahead_s: float) -> None:
        way = f"ahead by {ahead_s:.1f}" if ahead_s > 0 else f"back by {-ahead_s:.1f}"
        self._jumps.append(f"{way} s after {self._laid_s:.1f} s")
