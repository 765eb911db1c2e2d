"""Fuzzing: earlier findings stay mended, and damage to every format ends in a reason (tests/fuzz)."""

import os
import random
import re
import subprocess
import sys

import pytest
from helpers.audio_files import tiny
from helpers.paths import ROOT

DRIVER = ROOT / "tests" / "fuzz" / "decode.py"
FOUND = sorted((DRIVER.parent / "found").glob("*.bin"))
MAX_MB = 400  # of a process that decodes a few kilobytes; Python and its libraries take 150


def decode_in_process(paths):
    """Decode files in a process of their own, which some of them once took down; returns the verdicts."""
    command = [sys.executable, str(DRIVER), "try", *map(str, paths)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return re.findall(r"^(\S+) (\S+) peak (\d+) MB$", done.stdout, re.MULTILINE)


def test_earlier_findings_stay_mended():
    assert len(FOUND) >= 6
    verdicts = {name: (verdict, int(peak_mb)) for name, verdict, peak_mb in decode_in_process(FOUND)}
    assert verdicts.keys() == {path.name for path in FOUND}
    assert max(peak_mb for _, peak_mb in verdicts.values()) < MAX_MB
    assert verdicts["wmav2_decodes_to_nan.bin"][0] == verdicts["nellymoser_decodes_to_nan.bin"][0] == "corrupt"
    assert verdicts["wav_without_a_decoder.bin"][0] == "unsupported"


def test_findings_are_small_files():
    assert {path.name: path.stat().st_size for path in FOUND if path.stat().st_size >= 4096} == {}


def damage(data: bytes, random_source: random.Random) -> bytes:
    """One to four changes: a bit, a field set to an extreme, a stretch cut out, doubled or random, the end cut off."""
    changed = bytearray(data)
    for _ in range(random_source.randint(1, 4)):
        at = random_source.randrange(len(changed) if random_source.random() < 0.5 else min(200, len(changed)))
        n = random_source.randint(1, 40)
        match random_source.randrange(6):
            case 0:
                changed[at] ^= 1 << random_source.randrange(8)
            case 1:
                changed[at : at + 4] = random_source.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)])
            case 2:
                del changed[at : at + n]
            case 3:
                changed[at:at] = changed[at : at + n]
            case 4:
                changed[at : at + n] = random_source.randbytes(n)
            case 5:
                del changed[max(at, 16) :]
        changed = changed or bytearray(b"\0")
    return bytes(changed)


@pytest.fixture(scope="module")
def mutations(tmp_path_factory):
    """Twenty of each format's tiny file."""
    folder, random_source = tmp_path_factory.mktemp("mutations"), random.Random(5)
    for codec, data in tiny().items():
        for n in range(20):
            (folder / f"{codec.replace('/', '_')}-{n}").write_bytes(damage(data, random_source))
    return sorted(folder.iterdir())


def test_damage_ends_in_a_reason_or_in_samples(mutations):
    outcomes = decode_in_process(mutations)
    assert len(outcomes) == len(mutations) >= 1200
    kinds = {verdict for _, verdict, _ in outcomes}
    assert kinds >= {"decoded", "corrupt", "truncated"}  # else the damage is too little, or too much
    assert kinds <= {"decoded", "corrupt", "truncated", "unsupported", "not_audio", "empty"}
    assert max(int(peak_mb) for _, _, peak_mb in outcomes) < MAX_MB


def test_a_broken_promise_is_noticed(monkeypatch):
    """The check itself: a decoder that gives another shape than it said."""
    import numpy as np

    monkeypatch.syspath_prepend(str(DRIVER.parent))
    import decode

    from features.decode.sndfile import SndfileStream

    data = tiny()["wav/pcm_16"]
    assert decode.one_input(data) == "decoded"
    monkeypatch.setattr(SndfileStream, "blocks", lambda self: iter([np.zeros((4, 3), np.float32)]))
    with pytest.raises(AssertionError):
        decode.one_input(data)
