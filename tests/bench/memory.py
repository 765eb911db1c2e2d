"""Peak memory of a run over a six-hour recording: the driver's, and each worker's with its decoder.

    .venv/bin/python tests/bench/memory.py [CORPUS] [--hours 6] [--memory-mb 2000]

Ten minutes of CORPUS' speech (../shared/corpora where it is, else the tests' synthetic clips) are coded as AAC once,
and their packets repeated until they last so many hours: one m4a, beside twenty short files. `undertone backfill`
extracts them in processes of its own; every half second the resident memory of each of its processes is read. Once with
the long file and once without it: what differs is what the long file costs.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import psutil
from corpora import SAMPLE, SHARED
from decode import PYAV, by_pyav, speech
from tables import print_head, print_machine, print_row

MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED if SHARED.is_dir() else SAMPLE)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--memory-mb", type=int, default=2_000)
    options = parser.parse_args()
    samples = speech(options.corpus, 600.0)
    whole = by_pyav(samples, *PYAV["m4a (AAC), 44.1 kHz stereo"])
    short = by_pyav(samples[: 60 * 16_000], *PYAV["m4a (AAC), 44.1 kHz stereo"])
    print_machine()
    print(f"data: ten minutes of {options.corpus}, repeated; bound: {options.memory_mb} MB a worker with its decoder\n")
    print_head("corpus", "seconds", "x real time", "driver, MB", "largest worker, MB", "its decoder, MB", "together")
    for name, hours in (("20 files of a minute", 0.0), (f"the same and one of {options.hours:g} h", options.hours)):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "corpus" / "2026" / "11" / "21"
            place.mkdir(parents=True)
            for number in range(20):
                (place / f"{number:02d}.m4a").write_bytes(short[:-1] + bytes([number]))
            if hours:
                (place / "long.m4a").write_bytes(repeated(whole, hours * 3600))
            print_row(name, measured(Path(folder), options.memory_mb))


def repeated(data: bytes, seconds: float) -> bytes:
    """An m4a whose packets come again and again; nothing is coded anew."""
    sink = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(sink, "w", format="mp4") as target:
        track = source.streams.audio[0]
        stream: Any = target.add_stream_from_template(track)
        packets = [(bytes(packet), packet.duration) for packet in source.demux(track) if packet.size]
        rate, at = track.rate, 0
        while at < seconds * rate:
            for content, duration in packets:
                packet = av.Packet(content)
                packet.stream, packet.time_base = stream, Fraction(1, rate)
                packet.pts = packet.dts = at
                packet.duration = duration
                at += duration
                target.mux(packet)
    return sink.getvalue()


def measured(work: Path, memory_mb: int) -> str:
    """Extracts what lies in `work` and watches."""
    environment = os.environ | {
        "UNDERTONE_CORPUS": str(work / "corpus"),
        "UNDERTONE_LAKE": str(work / "lake"),
        "UNDERTONE_MEMORY_MB": str(memory_mb),
    }
    started = time.perf_counter()
    command = [sys.executable, "-m", "flows", "backfill", "--stage", "features", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        watch = Watch(process.pid)
        watch.start()
        answer = process.communicate()[0]
        watch.done.set()
        watch.join()
    if process.returncode:
        sys.exit(f"backfill ended with {process.returncode}")
    seconds, row = time.perf_counter() - started, json.loads(answer)
    assert row["n_rejected"] == 0, row
    worker, decoder, both = watch.largest
    rate = 3600 * row["audio_hours"] / row["extract_s"]
    return f"{seconds:.0f} | {rate:.0f} | {watch.driver:.0f} | {worker:.0f} | {decoder:.0f} | {both:.0f}"


class Watch(threading.Thread):
    """Reads the resident memory of a process, and of those that it started."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.root, self.done = psutil.Process(pid), threading.Event()
        self.driver, self.largest = 0.0, (0.0, 0.0, 0.0)

    def run(self) -> None:
        while not self.done.wait(0.5):
            try:
                self.driver = max(self.driver, self.root.memory_info().rss / MB)
                for process in self.root.children(recursive=True):
                    decoders = [child for child in process.children() if "features.decode.child" in child.cmdline()]
                    if decoders:
                        own = process.memory_info().rss / MB
                        theirs = sum(child.memory_info().rss for child in decoders) / MB
                        self.largest = max(self.largest, (own, theirs, own + theirs), key=lambda found: found[2])
            except psutil.NoSuchProcess:
                continue


if __name__ == "__main__":
    main()
