"""`undertone demo`: a whole run on a sample corpus, with everything embedded."""

import json
import shutil
import sys
from pathlib import Path

from rich.console import Console

import flows
from data_contracts.addresses import is_url, normalize
from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from features.corpus.layout import DEFAULT_LAYOUT
from flows.cli.startup import run_command

SAMPLE = Path(flows.__path__[0], "sample", "corpus")

TABLES = {
    "Who spoke, and how": """
        SELECT coalesce(speaker_id, 'unknown') AS speaker, count(*) AS utterances,
               round(sum(end_s - start_s), 1) AS speech_s, count(DISTINCT date) AS nights,
               mode(emotion ORDER BY emotion) AS mostly, round(avg(speaker_score), 2) AS speaker_score
        FROM utterances GROUP BY 1 ORDER BY utterances DESC, speaker LIMIT 10""",
    "Some utterances": """
        SELECT u.date, regexp_extract(r.uri, '[^/]+$') AS recording, round(u.start_s, 2) AS start_s,
               round(u.end_s, 2) AS end_s, coalesce(u.emotion, u.emotion_reason) AS emotion,
               coalesce(u.speaker_id, 'unknown') AS speaker
        FROM utterances u JOIN (SELECT recording_id, min(uri) AS uri FROM recordings GROUP BY 1) r USING (recording_id)
        ORDER BY u.date, recording, u.start_s LIMIT 8""",
    "Emotions": """
        SELECT coalesce(emotion, emotion_reason) AS emotion, count(*) AS utterances
        FROM utterances GROUP BY 1 ORDER BY 2 DESC, 1""",
    "What could not be used": """
        SELECT regexp_extract(uri, '[^/]+$') AS file, reason, error FROM rejects ORDER BY uri LIMIT 8""",
}


def demo(console: Console, *, corpus: str | None, lake: str | None, s3: bool) -> None:
    """Run a backfill over the sample corpus (or the user's folder), show the tables, and print the next commands."""
    corpus, lake = normalize(corpus) if corpus else None, normalize(lake) if lake else None
    if corpus and not is_url(corpus) and not Path(corpus).is_dir():
        raise UsageError(f"--corpus: expected a folder or a URL; found {corpus!r}")
    if s3:
        _run_over_s3(console, corpus)
        return
    layout = "modified" if corpus else DEFAULT_LAYOUT
    lake = lake or normalize("demo-lake" if corpus is None else f"demo-lake-{Path(corpus).name}")
    if is_url(lake):
        raise UsageError(f"--lake: the demo's lake is a folder; found {lake!r}; for a bucket use `undertone backfill`")
    is_sample = corpus is None
    if corpus is None:
        corpus = str(_sample_copy(Path(lake).parent / "demo-corpus"))
        console.print(
            f"Corpus: 30 clips of eight people who read (LibriSpeech), two excerpts of meetings (AMI), in {corpus}"
        )
        console.print("Speech under CC BY 4.0, and who of it a shipped model has heard: flows/sample/README.md")
    _run(console, corpus=corpus, lake=lake, layout=layout)
    if is_sample:
        _print_truth(console, Lake(lake))
    settings_file = _write_settings(lake, corpus, layout)
    console.print()
    console.print("Go on from here:" + (f"   ({settings_file} names this lake)" if settings_file else ""))
    flag = "" if settings_file else f" --lake {lake}"
    command = "undertone" if shutil.which("undertone") else sys.argv[0]
    for line in (
        f'{command} query{flag} "SELECT emotion, count(*) FROM utterances GROUP BY 1"',
        f"{command} speakers{flag}",
        f"{command} runs{flag}",
        f"{command} dashboard{flag}",
    ):
        console.print(f"  {line}", highlight=False)
    console.print("The last of them opens what you see above in the browser: to look at, and to listen to.")


def _run_over_s3(console: Console, corpus: str | None) -> None:
    from flows.workers.embedded_s3 import embedded_s3, upload

    with embedded_s3("corpus", "lake") as endpoint:
        n_files = upload(Path(corpus) if corpus else SAMPLE, "corpus")
        console.print(f"S3 at {endpoint}: {n_files} objects in s3://corpus, the lake in s3://lake/undertone")
        layout = "modified" if corpus else DEFAULT_LAYOUT
        _run(console, corpus="s3://corpus", lake="s3://lake/undertone", layout=layout)
        if corpus is None:
            _print_truth(console, Lake("s3://lake/undertone"))
    console.print("\nThe S3 server lived in memory and is gone. Without --s3 the lake stays.")


def _run(console: Console, *, corpus: str, lake: str, layout: str) -> None:
    with run_command(corpus=corpus, lake=lake, layout=layout) as settings:
        from flows.backfill import backfill
        from flows.terminal.progress import run_and_report

        run_and_report(console, lambda: backfill(settings=settings), as_json=False)
    _print_tables(console, Lake(lake))


def _print_tables(console: Console, lake: Lake) -> None:
    from flows.analytics.sql import query
    from flows.terminal.summary import rich_table

    for title, sql in TABLES.items():
        answer = query(lake, sql)
        if answer.num_rows:
            console.print()
            console.print(rich_table(answer, title))


def _print_truth(console: Console, lake: Lake) -> None:
    from flows.cli.demo_truth import compare_with_truth
    from flows.terminal.summary import rich_table

    console.print()
    console.print(rich_table(compare_with_truth(lake, SAMPLE.parent), "What is true, and what was found"))


def _sample_copy(folder: Path) -> Path:
    """Copy what of the sample is not there: files keep their times, so that a second demo finds nothing new."""
    for source in sorted(path for path in SAMPLE.rglob("*") if path.is_file()):
        place = folder / source.relative_to(SAMPLE)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place)
    return folder


def _write_settings(lake: str, corpus: str, layout: str) -> str | None:
    """Write undertone.toml where there is none, so that the next commands need no flags. Return its name."""
    path = Path("undertone.toml")
    values = {"corpus": corpus, "lake": lake, "layout": layout}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    if not path.exists():
        path.write_text("\n".join(["# written by `undertone demo`; yours to change", *lines, ""]))
    return path.name if lines[1] in path.read_text() else None
