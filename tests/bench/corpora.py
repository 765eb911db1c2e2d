"""Speech for the benches: the shared corpora, or the tests' synthetic clips, repeated as often as needed."""

import csv
import io
import itertools
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile as sf

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "corpora"
SAMPLE = ROOT / "tests" / "data" / "synthetic_voices" / "corpus"


def gather(corpus: Path | None, target: Path, seconds: float) -> tuple[float, int]:
    """Copy at least `seconds` of `corpus`, or of synthetic voices, over three dates; return seconds and count."""
    total, count = 0.0, 0
    for name, length, content in _labelled(corpus) if corpus else _repeated(SAMPLE):
        if total >= seconds:
            break
        path = target / "2026" / "11" / f"{19 + count % 3}" / f"{count:05d}-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        total, count = total + length, count + 1
    return total, count


def _labelled(corpus: Path) -> Iterator[tuple[str, float, bytes]]:
    with (corpus / "labels.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["path"].startswith("fsdd"))
    for row in rows:
        path = corpus / row["path"]
        yield path.name, float(row["duration_s"]), path.read_bytes()
    yield from _repeated(corpus)


def _repeated(corpus: Path) -> Iterator[tuple[str, float, bytes]]:
    """Yield each clip at a thousand levels: other bytes, and so other recordings."""
    known = {f".{name.lower()}" for name in sf.available_formats()}
    paths = [path for path in sorted(corpus.rglob("*.*")) if path.suffix in known and "truncated" not in path.name]
    if not paths:
        sys.exit(f"expected audio that libsndfile reads in {corpus}, found none")
    with ProcessPoolExecutor() as pool:
        for turn in range(1_000):
            again = pool.map(_at_level, paths, itertools.repeat(0.9 - turn * 8e-4), chunksize=8)
            for path, (length, content) in zip(paths, again, strict=True):
                yield f"{turn:03d}-{path.name}", length, content


def _at_level(path: Path, level: float) -> tuple[float, bytes]:
    samples, rate = sf.read(path)
    sink = io.BytesIO()
    sf.write(sink, samples * level, rate, format="FLAC")
    return len(samples) / rate, sink.getvalue()


def speech(corpus: str, n: int, rate: int = 16_000) -> list[np.ndarray]:
    """`n` clips of `rate`, evenly spread over the corpus."""
    paths = [path for path in sorted((SHARED / corpus).glob("*.flac")) if sf.info(path).samplerate == rate]
    return [sf.read(path, dtype="float32")[0] for path in paths[:: max(1, len(paths) // n)][:n]]
