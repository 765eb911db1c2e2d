"""Answers about real speech before and after a change: who spoke, how many there are, whether calm is called calm.

    .venv/bin/python tests/bench/answers.py WORK [--code NAME=CHECKOUT …] [--only PART …] [--voices FILE]
        [--shared DIR] [--pulled NAME=FOLDER …] [--peer-python PATH] [--workers N] [--json FILE]

Each `--code` is a checkout of this repository (`git worktree add ../before COMMIT`), `after` is this one. Its own
command does what a user's does: `backfill` over corpora that are made here (`make_conversations.py`), shipped weights
and default settings; lakes stay in WORK and are not made twice for a commit. What is published is judged by the code
here. Encoders are judged by themselves, too: those of the checkouts, W of ../shared/teachers, `--pulled` folders of
models, and Resemblyzer (R) at --peer-python, into which it was installed by hand.

readers        100 readings of ten voices over three nights: speakers found, purity, coverage; and whether calm speech
               is called neutral: the share, and the mean confidence of what is not
actors         neutral and calm clips of ten actors of RAVDESS over three nights, as they are: the same questions
conversations  sixteen on one channel, ten voices: error rates and speakers found
ami            ten excerpts of meetings
eer            equal error rates of pairs by cosine, plain and with the set's mean taken away

The voices are kept out of all training of the weights shipped here, unless `--voices` names others: earlier weights
may have heard them. A voice of LibriSpeech has one clip, so phrases recur in other rooms, levels and bands: text and
session are the same, and counting is easier than over real nights.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from tables import print_head, print_machine, print_row
from verification_sets import by_folder, by_resemblyzer, judge, pulled_folder, read_sets

from data_contracts import lake as lakes
from flows.analytics.conversations import evaluate_conversations
from flows.analytics.sql import query

ROOT = Path(__file__).parents[2]
PARTS = ("readers", "actors", "conversations", "ami", "eer")
_CALM = """
SELECT count(*) AS n, avg((emotion = 'neutral')::double) AS neutral,
    avg(CASE WHEN emotion <> 'neutral' THEN {best} END) AS wrong_confidence
FROM utterances WHERE emotion IS NOT NULL
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--code", action="append", default=[], metavar="NAME=CHECKOUT")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--voices", default="kept-out", help="as of make_conversations.py; give each choice its own WORK"
    )
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--pulled", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--peer-python")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    checkouts = {name: Path(place).resolve() for name, _, place in (each.partition("=") for each in options.code)}
    checkouts |= {"after": ROOT}
    print_machine()
    commits = {name: commit(place) for name, place in checkouts.items()}
    print(", ".join(f"{name}: {each}" for name, each in commits.items()))
    answers: dict[str, Any] = {"commits": commits}
    for part in (part for part in options.only if part != "eer"):
        corpus = make_corpus(part, options.work / part, options.shared, options.voices)
        told = {name: run(place, corpus, options.work, options.workers) for name, place in checkouts.items()}
        answers[part] = {name: figures(lake, corpus) for name, lake in told.items()}
        print_part(part, answers[part])
    if "eer" in options.only:
        sets = read_sets([options.shared / "corpora", options.shared / "voices"])
        folders = {name: place / "models" / "weights" / "speaker" for name, place in checkouts.items()}
        encoders = {f"{name} ({commits[name]})": by_folder(folder, checkouts[name]) for name, folder in folders.items()}
        w = options.shared / "teachers" / "wespeaker_resnet34_lm.ort"
        pulled = [each.partition("=") for each in [*options.pulled, *([f"W={w}"] if w.is_file() else [])]]
        encoders |= {name: by_folder(pulled_folder(Path(folder), options.work), ROOT) for name, _, folder in pulled}
        if options.peer_python:
            encoders["R"] = by_resemblyzer(options.peer_python)
        answers["eer"] = judge(sets, encoders, options.work / "vectors")
        print_eer(answers["eer"])
    if options.json:
        options.json.write_text(json.dumps(answers, indent=1))


def commit(checkout: Path) -> str:
    """Return a checkout's commit; with a plus where files differ from it."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--exclude=*", "--dirty=+"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def make_corpus(part: str, folder: Path, shared: Path, voices: str) -> Path:
    """Return the folder of a corpus laid out by date with its reference, after making it where it is not there."""
    if (folder / "reference.csv").is_file():
        return folder
    if part == "ami":
        night = folder / "2026" / "11" / "21"
        night.mkdir(parents=True)
        for path in sorted((shared / "voices" / "ami").glob("*.flac")):
            shutil.copy(path, night)
        shutil.copy(shared / "voices" / "ami" / "reference.csv", folder)
        return folder
    first = {"readers": 10, "actors": 0, "conversations": 0}[part]  # other voices in each
    script = Path(__file__).with_name("make_conversations.py")
    chosen = ["--corpora", shared / "corpora", "--voices", voices, "--first-voice", str(first)]
    command = [sys.executable, script, part, folder, *chosen]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    return folder


def run(checkout: Path, corpus: Path, work: Path, workers: int) -> str:
    """Return the lake in which a checkout's own command published the corpus."""
    lake = work / "lakes" / f"{corpus.name}-{commit(checkout)}"
    command = [sys.executable, "-m", "flows", "backfill", "--corpus", corpus, "--lake", lake, "--workers", str(workers)]
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [*command, "--json"], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        sys.exit(f"{checkout}: backfill of {corpus} ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    return str(lake)


def figures(place: str, corpus: Path) -> dict[str, Any]:
    """Return what is published of a corpus beside its reference, and how calm its speech is said to be."""
    lake = lakes.open(place)
    told = evaluate_conversations(lake, corpus / "reference.csv")
    kept = {key: value for key, value in told.items() if key not in {"protocol", "reference", "without_reference"}}
    columns = query(lake, "SELECT * FROM utterances LIMIT 0").column_names
    scores = ", ".join(name for name in columns if name.startswith("score_"))
    (calm,) = query(lake, _CALM.format(best=f"greatest({scores})")).to_pylist()
    shares = query(lake, "SELECT coalesce(emotion, emotion_reason) AS e, count(*) AS n FROM utterances GROUP BY 1")
    return {**kept, "calm": {**calm, "emotions": {row["e"]: row["n"] for row in shares.to_pylist()}}}


def print_part(part: str, told: dict[str, dict[str, Any]]) -> None:
    print(f"\n{part}\n")
    rates = ("der", "miss", "false_alarm", "confusion")
    print_head(
        "", "found (true)", "right in", "purity", "coverage", "DER (miss, false alarm, confusion), %", "0.25 s collar",
        "one mapping over all", "neutral", "confidence of the others",
    )  # fmt: skip
    for name, row in told.items():
        der, *parts = (f"{100 * row[rate]:.1f}" for rate in rates)
        calm = row["calm"]
        print_row(
            name,
            f"{row['speakers_found']} ({row['speakers_true']})",
            f"{row['recordings_counted_right']} of {row['recordings']}",
            f"{row['purity']:.3f}",
            f"{row['coverage']:.3f}",
            f"{der} ({', '.join(parts)})",
            f"{100 * row['with_collar']['der']:.1f}",
            f"{100 * row['one_mapping']['der']:.1f}",
            f"{calm['neutral']:.2f}",
            "" if calm["wrong_confidence"] is None else f"{calm['wrong_confidence']:.2f}",
        )


def print_eer(told: dict[str, dict[str, Any]]) -> None:
    print("\nEER, % (with the set's mean taken away)\n")
    first = next(iter(told.values()))
    print_head("", *(f"{name} ({each['n_voices']} voices, {each['n_utterances']})" for name, each in first.items()))
    for name, row in told.items():
        print_row(name, *(f"{100 * each['eer']:.1f} ({100 * each['eer_centred']:.1f})" for each in row.values()))


if __name__ == "__main__":
    main()
