"""Upgrade of a lake to newly shipped models: who is who before and after, and what each command says.

    .venv/bin/python tests/bench/upgrade.py [--commit 81f1304] [--work DIR]

A checkout of --commit publishes the demo's sample, enrolls one reader as Ada and renames another to Grace. Then today's
code does what docs/operations.md says: `models add shipped`, `models promote`, `backfill`. Printed are the readers by
their true number, with the name or pseudonym that most of their speech had before, and has after.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tables import print_head, print_row

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "flows" / "sample"
NAMED = """
    SELECT regexp_extract(r.uri, 'reader-([0-9]+)', 1) AS reader, s.name, sum(u.end_s - u.start_s) AS seconds
    FROM utterances u JOIN (SELECT recording_id, min(uri) AS uri FROM recordings GROUP BY 1) r USING (recording_id)
    LEFT JOIN speakers s USING (speaker_id) WHERE r.uri LIKE '%/reader-%' GROUP BY 1, 2"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", default="81f1304", help="the version before")
    parser.add_argument("--work", type=Path, help="where the lake stays; one that is there is not published again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        earlier = check_out(options.commit, work / "earlier")
        before = named(earlier, work) if (work / "lake").exists() else publish_earlier(earlier, work)
        after = upgrade(work)
        compare(before, after)


def check_out(commit: str, folder: Path) -> Path:
    """Unpack the tree of a commit."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def publish_earlier(code: Path, work: Path) -> dict[str, dict[str, float]]:
    """Publish the sample with the code of then, and give two readers names."""
    undertone(code, work, "backfill")
    first, second, *_ = readers()
    undertone(code, work, "enroll", "Ada", *map(str, sorted((SAMPLE / "corpus").rglob(f"reader-{first}-*.ogg"))))
    undertone(code, work, "backfill", "--stage", "score", "--force")
    undertone(code, work, "speakers", "rename", most_often(named(code, work)[second]), "Grace")
    return named(code, work)


def upgrade(work: Path) -> dict[str, dict[str, float]]:
    """Do what the page of operations says, with today's code."""
    print(undertone(ROOT, work, "doctor", "--lake-check"), flush=True)
    added = json.loads(undertone(ROOT, work, "models", "add", "shipped", "--json"))
    for model in added:
        if not model["champion"]:
            name, version = model["model"], model["version"]
            print(undertone(ROOT, work, "models", "promote", name, version, "--force", "--reason", "an upgrade"))
    print(undertone(ROOT, work, "backfill"), undertone(ROOT, work, "models", "list"), flush=True)
    return named(ROOT, work)


def compare(before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]) -> None:
    print_head("reader", "before", "after", "kept", "also heard as")
    kept = 0
    for reader in readers():
        names = [most_often(found.get(reader, {})) for found in (before, after)]
        kept += names[0] == names[1]
        others = ", ".join(sorted(set(after.get(reader, {})) - {names[1]}))
        print_row(reader, *names, "yes" if names[0] == names[1] else "NO", others)
    print(f"\n{kept} of {len(readers())} readers kept their name or pseudonym.")


def readers() -> list[str]:
    with (SAMPLE / "reference.csv").open(newline="") as file:
        speakers = {row["speaker"] for row in csv.DictReader(file)}
    return sorted(name.removeprefix("libri-") for name in speakers if name.startswith("libri-"))


def named(code: Path, work: Path) -> dict[str, dict[str, float]]:
    """Return the seconds of each name or pseudonym, by reader."""
    found: dict[str, dict[str, float]] = {}
    for row in json.loads(undertone(code, work, "query", NAMED, "--format", "json")):
        found.setdefault(row["reader"], {})[row["name"] or "nobody"] = row["seconds"]
    return found


def most_often(seconds: dict[str, float]) -> str:
    return max(seconds, key=lambda name: seconds[name], default="nobody")


def undertone(code: Path, work: Path, *argv: str) -> str:
    """Return what a command of that checkout says; its progress goes to standard error."""
    print("undertone", *(f'"{word}"' if " " in word else word for word in argv), file=sys.stderr, flush=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UNDERTONE_", "MLFLOW_"))}
    own: dict[str, Any] = {
        "PYTHONPATH": str(code),
        "UNDERTONE_CORPUS": str(SAMPLE / "corpus"),
        "UNDERTONE_LAKE": str(work / "lake"),
        "UNDERTONE_CLUSTER": "threads",
        "COLUMNS": "160",
    }
    command = [sys.executable, "-m", "flows", *argv]
    done = subprocess.run(command, cwd=work, env=kept | own, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"undertone {' '.join(argv)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
