"""A coverage-guided fuzzer of the decoding entry: bytes in, and whatever they are, a header and samples or `Unusable`.

Needs atheris (a libFuzzer for Python; Python 3.11 has a wheel), which is no dependency of the project:

    python3.11 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris
    readlink -f .venv/lib/python3.11/site-packages > /tmp/fuzz/lib/python3.11/site-packages/project.pth
    PYTHONPATH=. /tmp/fuzz/bin/python tests/fuzz/decode.py run DIR --minutes 30
    PYTHONPATH=. /tmp/fuzz/bin/python tests/fuzz/decode.py try FILE…   # one input again; `.venv/bin/python` will do

`run` makes a tiny file of every format and a dictionary of magics in DIR, fuzzes them in children (a crash in C ends
only one), and keeps what broke them in DIR/broken. The decoders in C come along uninstrumented: what guides is the
coverage of `features`. What was found is told in README.md beside this file; the inputs are in found/, and
tests/features/decode/test_fuzz.py tries them again.
"""

import hashlib
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAX_SAMPLES = 1 << 21  # decoded of one input, all channels together
MAX_RISE_MB = 150  # in the peak of memory, through one input
LIMITS = ["-rss_limit_mb=2048", "-timeout=10", "-max_len=16384", "-len_control=20"]
MAGICS = (
    *(
        "RIFF",
        "RIFX",
        "RF64",
        "WAVE",
        "fmt ",
        "data",
        "fact",
        "LIST",
        "AVI ",
        "QLCM",
        "FORM",
        "AIFF",
        "AIFC",
        "SSND",
        "COMM",
    ),
    *(
        ".snd",
        "caff",
        "desc",
        "pakt",
        "kuki",
        "fLaC",
        "OggS",
        "OpusHead",
        "vorbis",
        "Speex   ",
        "NIST_1A",
        "ftyp",
        "moov",
    ),
    *(
        "trak",
        "mdia",
        "stbl",
        "stsd",
        "stsz",
        "stco",
        "co64",
        "stsc",
        "stts",
        "elst",
        "mdat",
        "moof",
        "traf",
        "trun",
        "mvex",
    ),
    *(
        "esds",
        "mp4a",
        "alac",
        "samr",
        "sawb",
        "enca",
        "dref",
        "url ",
        "alis",
        "wide",
        "#!AMR\\x0a",
        "#!AMR-WB\\x0a",
        "ID3",
    ),
    *("TAG", "APETAGEX", "Xing", "Info", "LAME", "VBRI", "MAC ", "wvpk", "TTA1", "DSD ", "MPCK", "MP+", ".RMF", "MDPR"),
    *(
        "FLV\\x01",
        "onMetaData",
        "webm",
        "matroska",
        "A_OPUS",
        "A_VORBIS",
        "A_AAC",
        "A_MS/ACM",
        "A_FLAC",
        "tBaK",
        "ajkg",
    ),
    *(
        "\\x1a\\x45\\xdf\\xa3",
        "\\x18\\x53\\x80\\x67",
        "\\x1f\\x43\\xb6\\x75",
        "\\x16\\x54\\xae\\x6b",
        "\\xff\\xf1",
        "\\xff\\xfb",
    ),
    *(
        "\\x0b\\x77",
        "\\x7f\\xfe\\x80\\x01",
        "\\x00\\x00\\x01\\xba",
        "\\x00\\x00\\x01\\xc0",
        "\\xff\\xff\\xff\\xff",
        "\\x7f\\xff\\xff\\xff",
    ),
    "\\x30\\x26\\xb2\\x75\\x8e\\x66\\xcf\\x11\\xa6\\xd9\\x00\\xaa\\x00\\x62\\xce\\x6c",
)


def one_input(data: bytes) -> str:
    """Decodes, and holds the stream to what `features.decode.stream` promises; says in a word what came of it."""
    import numpy as np

    from features.decode.open import open_stream
    from features.decode.stream import BLOCK_SAMPLES, Unusable

    kept: list[np.ndarray] = []
    try:
        with open_stream(data) as stream:
            header, n_read = stream.header, 0
            assert header.n_channels > 0, header
            assert header.sample_rate_hz > 0, header
            assert header.n_promised is None or header.n_promised >= 0, header
            assert all(tag.isprintable() for tag in header.tags), header
            for block in stream.blocks():
                assert block.dtype == np.float32, block.dtype
                assert block.ndim == 2, block.shape
                assert block.shape[1] == header.n_channels, (block.shape, header)
                assert 0 < block.size <= max(BLOCK_SAMPLES, header.n_channels), (block.shape, header)
                if not re.search("float|double|pcm_f", header.codec):
                    assert np.isfinite(block).all(), header
                kept.append(block)
                n_read += block.size
                if n_read > MAX_SAMPLES:
                    break
    except Unusable as error:
        found = error
    else:
        found = None
    if found:
        assert found.error.isprintable(), found.error
        return str(found.reason)
    if kept and len(data) % 8 == 0:
        _same_behind_a_skip(data, np.concatenate(kept))
    if len(data) % 4 == 1:
        _prepared(data)
    return "decoded"


def _prepared(data: bytes) -> None:
    """As a run reads it: mixed, resampled, measured."""
    import numpy as np

    from data_contracts.rejects import Reject
    from features.decode import recording
    from features.decode.config import SAMPLE_RATE, AudioConfig

    found = recording.decode(data, config=AudioConfig(max_s=20.0))
    if isinstance(found, Reject):
        assert found.error.isprintable(), found.error
        return
    assert np.isfinite(found.waveform).all(), found.measures
    assert found.waveform.dtype == np.float32, found.waveform.dtype
    assert abs(len(found.waveform) - found.seconds * SAMPLE_RATE) <= 1, found.measures


def _same_behind_a_skip(data: bytes, whole: "object") -> None:
    import numpy as np

    from features.decode.open import open_stream

    n_skipped = len(whole) // 3
    with open_stream(data) as stream:
        stream.skip(n_skipped)
        first = next(stream.blocks(), None)
    expected = whole[n_skipped:]
    n = 0 if first is None else min(len(first), len(expected))
    assert n or not len(expected), (n_skipped, len(whole))
    assert first is None or np.array_equal(first[:n], expected[:n], equal_nan=True), (n_skipped, len(whole))


def peak_mb() -> float:
    """The most memory that this process has had (Linux); getrusage would count that of the one that started it."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def fuzz(arguments: list[str]) -> None:
    import atheris
    import av  # noqa: F401 - not instrumented
    import soundfile  # noqa: F401

    with atheris.instrument_imports(include=["features"]):
        from features.decode import ffmpeg, sndfile  # noqa: F401
        from features.decode.open import open_stream  # noqa: F401
    folder, before_mb = Path(next(a for a in arguments if a.startswith("-artifact_prefix=")).partition("=")[2]), 0.0

    def one(data: bytes) -> None:
        nonlocal before_mb
        one_input(data)
        now_mb = peak_mb()
        if before_mb and now_mb > before_mb + MAX_RISE_MB:  # once in a child: the peak stays
            (folder / f"memory-{now_mb:.0f}-{hashlib.sha1(data).hexdigest()}").write_bytes(data)
        before_mb = now_mb

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def run(folder: Path, minutes: float) -> None:
    corpus, seeds, broken = folder / "corpus", folder / "seeds", folder / "broken"
    for path in (corpus, seeds, broken):
        path.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(HERE.parent))
    from helpers import audio_files

    for codec, data in audio_files.tiny().items():
        (seeds / codec.replace("/", "_")).write_bytes(data)
    (folder / "magics").write_text("".join(f'"{magic}"\n' for magic in MAGICS))
    end, n_runs, n_children = time.monotonic() + 60 * minutes, 0, 0
    while (left := end - time.monotonic()) > 5:
        log = folder / f"log-{n_children}"
        flags = [*LIMITS, f"-dict={folder / 'magics'}", f"-artifact_prefix={broken}/", f"-max_total_time={int(left)}"]
        command = [sys.executable, __file__, "fuzz", str(corpus), str(seeds), *flags, f"-seed={int(time.time())}"]
        with log.open("wb") as sink:
            subprocess.run(command, stdout=sink, stderr=subprocess.STDOUT, check=False)
        counts = re.findall(rb"^#(\d+)\t", log.read_bytes(), re.MULTILINE)
        n_runs, n_children = n_runs + (int(counts[-1]) if counts else 0), n_children + 1
        print(f"child {n_children}: {n_runs} executions in all, {len(list(broken.iterdir()))} broken", flush=True)


def main() -> None:
    match sys.argv[1:]:
        case ["run", folder, "--minutes", minutes]:
            run(Path(folder).resolve(), float(minutes))
        case ["fuzz", *arguments]:
            fuzz(arguments)
        case ["try", *paths]:
            for path in paths:
                found = one_input(Path(path).read_bytes())
                print(Path(path).name, found, f"peak {peak_mb():.0f} MB", flush=True)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
