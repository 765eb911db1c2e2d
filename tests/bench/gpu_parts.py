"""Parts of extraction on a GPU beside one core: times real time, memory, and differences of results.

    .venv/bin/python tests/bench/gpu_parts.py [CORPUS] [--minutes 60] [--core-minutes 5] [--profile]

CORPUS as in end_to_end.py. Each part gets what a run gives it, waveforms in host memory, and is timed until its results
are back there, after one time to warm up on: a GPU the better of two, a core once, over the first --core-minutes.
`--profile` names the operations that a GPU's time goes into, and the share of the wall clock that it computed at all.
Without a GPU the core is timed alone.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from corpora import ROOT, SHARED, gather
from tables import print_head, print_machine, print_row

from features.decode.recording import Decoded, decode
from features.dsp.batching import map_batches, max_batch_samples
from features.dsp.gemaps import egemaps_and_lld
from features.dsp.suprasegmentals import suprasegmental
from features.resources import use_full_precision
from features.segmentation.config import VadConfig
from features.segmentation.segments import Span
from features.segmentation.speaker_changes import ChangeConfig, split_at_changes
from features.segmentation.speech import detect_speech
from models.speaker.model import SpeakerModel
from models.speaker.pyfunc import SpeakerPyfunc

RATE = 16_000
Part = Callable[[Sequence[np.ndarray], torch.device], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED if SHARED.is_dir() else None)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--core-minutes", type=float, default=5.0)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    use_full_precision()  # as workers do
    print_machine(*[torch.cuda.get_device_name()] if torch.cuda.is_available() else [])
    waveforms = read(options.corpus, 60 * options.minutes)
    few = waveforms[: 1 + sum(ends < 60 * options.core_minutes for ends in np.cumsum([*map(len, waveforms)]) / RATE)]
    audio_s, few_s = (sum(map(len, some)) / RATE for some in (waveforms, few))
    what = options.corpus or "synthetic voices, repeated"
    print(f"data: {what}: {len(waveforms)} clips, {audio_s / 60:.1f} min, {few_s / 60:.1f} of them on a core")
    core = torch.device("cpu")
    if not torch.cuda.is_available():
        print()
        print_head("part", "core: s", "x real time")
        for name, part in PARTS.items():
            spent, _ = timed(part, few, core)
            print_row(name, f"{spent:.2f}", f"{few_s / spent:,.0f}")
        return
    gpu = torch.device("cuda")
    print(f"batches of {max_batch_samples(gpu) / RATE:.0f} s\n")
    print(
        "| part | core: s | x real time | GPU: s | x real time | ratio | bytes a sample | apart |\n" + "|---" * 8 + "|"
    )
    for name, part in PARTS.items():
        core_s, expected = timed(part, few, core, times=1)
        torch.cuda.reset_peak_memory_stats()
        gpu_s, found = timed(part, waveforms, gpu)
        most = torch.cuda.max_memory_allocated() / min(max_batch_samples(gpu), audio_s * RATE)
        print(
            f"| {name} | {core_s:.2f} | {few_s / core_s:,.0f} | {gpu_s:.3f} | {audio_s / gpu_s:,.0f} | "
            f"{core_s / few_s * audio_s / gpu_s:.1f} | {most:,.0f} | {apart(expected, found[: len(expected)])} |",
            flush=True,
        )
    if options.profile:
        for name, part in PARTS.items():
            tell(name, part, waveforms, gpu)


def vad(waveforms: Sequence[np.ndarray], device: torch.device) -> np.ndarray:
    return np.concatenate([activity.probabilities for activity in detect_speech(waveforms, VadConfig(), device)])


def changes(waveforms: Sequence[np.ndarray], device: torch.device) -> np.ndarray:
    spans = {number: [Span(0.0, len(waveform) / RATE)] for number, waveform in enumerate(waveforms)}
    model = SpeakerPyfunc(speaker())
    found = split_at_changes(
        dict(enumerate(waveforms)), spans, model.sliding_embeddings, config=ChangeConfig(), device=device
    )
    return np.array([span.end_s for number in spans for span in found[number]])


def egemaps(waveforms: Sequence[np.ndarray], device: torch.device) -> np.ndarray:
    return _batched(lambda waveform, lengths: egemaps_and_lld(waveform, lengths)[0], waveforms, device)


def egemaps_and_contours(waveforms: Sequence[np.ndarray], device: torch.device) -> np.ndarray:
    def wide(waveform: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        values, described = egemaps_and_lld(waveform, lengths)
        return torch.cat([values, suprasegmental(waveform, lengths, described)], dim=1)

    return _batched(wide, waveforms, device)


def embeddings(waveforms: Sequence[np.ndarray], device: torch.device) -> np.ndarray:
    return _batched(speaker().embed, waveforms, device)


PARTS: dict[str, Part] = {
    "speech (Silero VAD)": vad,
    "changes of voice": changes,
    "eGeMAPS": egemaps,
    "eGeMAPS and contours": egemaps_and_contours,
    "speaker embeddings": embeddings,
}


def _batched(
    compute: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    waveforms: Sequence[np.ndarray],
    device: torch.device,
) -> np.ndarray:
    def rows(waveform: torch.Tensor, lengths: torch.Tensor) -> list[np.ndarray]:
        return [*compute(waveform, lengths).cpu().numpy()]

    return np.stack(map_batches(rows, waveforms, device, max_samples=max_batch_samples(device)))


def speaker() -> SpeakerModel:
    if not _loaded:
        _loaded.append(SpeakerModel.load(ROOT / "models" / "weights" / "speaker"))
    return _loaded[0]


_loaded: list[SpeakerModel] = []


def read(corpus: Path | None, seconds: float) -> list[np.ndarray]:
    """Whole clips, up to 15 s of each, decoded as the pipeline does."""
    with tempfile.TemporaryDirectory() as folder:
        gather(corpus, Path(folder), seconds)
        decoded = [decode(path.read_bytes()) for path in sorted(Path(folder).rglob("*.*"))]
    clips = [next(iter(clip.waveforms.values())) for clip in decoded if isinstance(clip, Decoded)]
    if not clips:
        sys.exit(f"expected speech in {corpus}, found none that can be read")
    return [clip[: 15 * RATE] for clip in clips]


def timed(
    part: Part, waveforms: Sequence[np.ndarray], device: torch.device, *, times: int = 2
) -> tuple[float, np.ndarray]:
    spent, found = [], part(waveforms, device)
    for _ in range(times):
        started = time.perf_counter()
        found = part(waveforms, device)
        spent.append(time.perf_counter() - started)
    return min(spent), found


def apart(expected: np.ndarray, found: np.ndarray) -> str:
    """The 99th percentile and the largest difference, relative to each column's spread."""
    if expected.shape != found.shape:
        return f"shapes {expected.shape} and {found.shape}"
    spread = np.maximum(expected.std(axis=0), 1e-9)
    off = np.abs(found - expected) / spread
    return f"{np.quantile(off, 0.99):.1e}, {off.max():.1e}"


def tell(name: str, part: Part, waveforms: Sequence[np.ndarray], device: torch.device) -> None:
    """The eight dearest operations, and how long the GPU computed of the time that it took."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        started = time.perf_counter()
        part(waveforms, device)
        torch.cuda.synchronize()
        wall_s = time.perf_counter() - started
    events = found.key_averages()
    kernels = [event for event in events if event.device_type == torch.autograd.DeviceType.CUDA]
    busy_s, launched = (
        sum(event.self_device_time_total for event in kernels) / 1e6,
        sum(event.count for event in kernels),
    )
    print(f"\n{name}: {launched:,} kernels, busy {busy_s:.3f} s of {wall_s:.3f}, profiled")
    for event in sorted(kernels, key=lambda event: -event.self_device_time_total)[:8]:
        print(f"  {event.self_device_time_total / 1e3:8.1f} ms {event.count:7,} x {event.key[:90]}")


if __name__ == "__main__":
    main()
