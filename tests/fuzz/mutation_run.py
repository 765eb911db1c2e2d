"""Run over mutants of every format, decoded as production does, in its child process: a table of what came out.

    PYTHONPATH=.:tests .venv/bin/python tests/fuzz/mutation_run.py --mutants 1000 [--seed 1] [--formats flac,mp3]

A violation is a file that is accepted without a flaw and accounts for less audio than its bytes hold. Exit code 1 for
any violation, crash or hang; `--keep DIR` keeps their files.
"""

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.mutants import CHANGES, CODECS, Good, Mutant, good_file, mutant

from data_contracts.rejects import Reject
from features.decode import process_pool
from features.decode.config import AudioConfig
from features.decode.recording import Decoded
from features.resources import Resources

CONFIG = AudioConfig(max_s=1800.0)
RESOURCES = Resources(decode_timeout_s=10)
_SLACK = 0.1  # seconds: an encoder's delay, a frame of padding
_CRASHES = ("the decoder's process ended", "please report this file")
_HANGS = ("no sample came for",)


@dataclass
class Outcomes:
    """Counts of what became of a format's mutants, and the worst of them."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[str, int, Mutant, str]] = field(default_factory=list)  # outcome, number, mutant, in words

    def add(self, n: int, changed: Mutant, outcome: str, words: str) -> None:
        self.counts[outcome] += 1
        if outcome in {"crash", "hang", "violation"}:
            self.bad.append((outcome, n, changed, words))


def judge(changed: Mutant, whole: Decoded, found: Decoded | Reject) -> tuple[str, str]:
    """Return an outcome in a word (ok, flaw, rejected, crash, hang, violation), and in words."""
    if isinstance(found, Reject):
        words = f"{found.reason}: {found.error}"
        if any(sign in found.error for sign in _CRASHES):
            return "crash", words
        return ("hang" if any(sign in found.error for sign in _HANGS) else "rejected"), words
    was, now = whole.measures, found.measures
    if now.flaw:
        return "flaw", now.flaw
    if (was.codec, was.sample_rate_hz, was.n_channels) == (now.codec, now.sample_rate_hz, now.n_channels):
        held = changed.held_s
        accounted = found.seconds
    elif was.codec == now.codec:  # the same samples, at another rate or in other channels
        held = changed.held_s * was.sample_rate_hz * was.n_channels / 1e5
        accounted = found.seconds * now.sample_rate_hz * now.n_channels / 1e5
    else:
        return "ok", f"{now.codec}, {found.seconds:.2f} s"
    words = f"accounts for {accounted:.2f} of {held:.2f} ({now.codec}, {now.sample_rate_hz} Hz, {now.n_channels})"
    return ("ok" if accounted >= held - _SLACK else "violation"), words


def run_format(good: Good, n_mutants: int, seed: int) -> Outcomes:
    """Decode a format's mutants. Raises ValueError where the good file does not decode."""
    whole = process_pool.decode(good.data, config=CONFIG, resources=RESOURCES)
    if isinstance(whole, Reject) or whole.measures.flaw:
        raise ValueError(f"expected a good {good.codec} file, found {whole}")
    outcomes = Outcomes()
    for n in range(n_mutants):
        changed = mutant(good, whole.seconds, n, seed)
        found = process_pool.decode(changed.data, config=CONFIG, resources=RESOURCES)
        outcome, words = judge(changed, whole, found)
        outcomes.add(n, changed, outcome, words)
        if outcome == "rejected":
            outcomes.reasons[words.partition(":")[0]] += 1
    return outcomes


def _row(name: str, outcomes: Outcomes) -> str:
    counts = outcomes.counts
    reasons = ", ".join(f"{reason} {n}" for reason, n in outcomes.reasons.most_common())
    cells = [name, counts["ok"], counts["flaw"], reasons, *(counts[o] for o in ("crash", "hang", "violation"))]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=100, help="of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", default="", help="codecs, separated by commas; all without")
    parser.add_argument("--keep", type=Path, help="a folder for what crashed, hung or was a violation")
    wanted = parser.parse_args()
    chosen, total, started = set(filter(None, wanted.formats.split(","))), Outcomes(), time.monotonic()
    print(f"{wanted.mutants} mutants of each format, seed {wanted.seed}: {', '.join(CHANGES)}\n")
    print("| format | ok | ok with a flaw | rejected | crashes | hangs | violations |\n|---|---|---|---|---|---|---|")
    found: list[str] = []
    for good in (good_file(codec) for codec in CODECS if not chosen or codec in chosen):
        outcomes = run_format(good, wanted.mutants, wanted.seed)
        print(_row(good.codec, outcomes), flush=True)
        total.counts += outcomes.counts
        total.reasons += outcomes.reasons
        for outcome, n, changed, words in outcomes.bad:
            found.append(f"{good.codec} {n}: {outcome}, {changed.change}: {words}")
            if wanted.keep:
                wanted.keep.mkdir(parents=True, exist_ok=True)
                (wanted.keep / f"{good.codec.replace('/', '_')}-{n}-{changed.change}.bin").write_bytes(changed.data)
    print(_row("all", total), f"\n\n{time.monotonic() - started:.0f} s", *found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
