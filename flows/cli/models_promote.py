"""`undertone models promote` and `rollback`: changes of the champion."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import Json, Lake, Model, given_flags, require_model
from flows.terminal.screen import escape_for_console, make_console

if TYPE_CHECKING:
    from flows.promote import Outcome

console = make_console()
Reason = Annotated[str, typer.Option(help="Why; it is noted with the version.")]


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    for command in (promote, rollback):
        app.command()(command)


def promote(
    name: Model,
    version: Annotated[str, typer.Argument(help="The version's number, or `challenger`.")],
    corpus: Annotated[
        str, typer.Option(help="Labelled speech that neither was trained on (UNDERTONE_EVALUATION_CORPUS).")
    ] = "",
    unheard: Annotated[
        bool, typer.Option("--unheard", help="Leave out the speakers of the corpus that either was trained on.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Whatever the figures say; it is noted.")] = False,
    reason: Reason = "",
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Make a version the champion where it is no worse: the next run uses it. The one before stays as @previous.

    Challenger and champion are evaluated on the same clips. A worse challenger is refused, and so is a corpus with a
    speaker that either was trained on.
    """
    from data_contracts.errors import ModelError
    from flows.settings import Settings
    from models.data.labels_file import read_labels

    settings = Settings.load(**given_flags(lake=lake, evaluation_corpus=corpus or None))
    read_labels(Path(folder) for folder in [settings.evaluation_corpus] if folder)  # before heavy imports
    from flows import promote as flow

    outcome = flow.promote(settings, require_model(name), version, unheard=unheard, force=force, reason=reason)
    if as_json:
        print(json.dumps(outcome.record()))
    else:
        _print_comparison(outcome)
    if outcome.promoted:
        if not as_json:
            _print_promotion(outcome, reason)
    elif not outcome.verdict.accepted:
        raise ModelError(
            f"{outcome.ref.label} was not promoted: {outcome.verdict.reason}. --force promotes it all the same, and is "
            "noted"
        )


def rollback(name: Model, reason: Reason = "", lake: Lake = None, as_json: Json = False) -> None:
    """Make @previous the champion again, and the champion @previous; a second rollback undoes the first."""
    from flows import promote as flow
    from flows.settings import Settings

    champion, previous = flow.rollback(Settings.load(**given_flags(lake=lake)), require_model(name), reason=reason)
    if as_json:
        print(json.dumps({"model": name, "champion": champion.label, "previous": previous.label}))
        return
    console.print(f"{champion.label} is @champion again, {previous.label} is @previous.", highlight=False)


def _print_comparison(outcome: "Outcome") -> None:
    import pyarrow as pa

    from flows.terminal.summary import rich_table
    from models.metrics.names import FIGURES, format_figure

    verdict = outcome.verdict
    columns = {f"challenger {outcome.ref.label}": verdict.challenger}
    if outcome.before is not None and verdict.champion:
        columns[f"champion {outcome.before.label}"] = verdict.champion
    names = FIGURES[outcome.ref.name]
    rows = [
        {"figure": words, **{head: format_figure(figures, key) for head, figures in columns.items()}}
        for key, words in names.items()
        if key in verdict.challenger
    ]
    if rows:
        console.print(rich_table(pa.Table.from_pylist(rows)))
        n, n_speakers = verdict.challenger.get("n", "?"), verdict.challenger.get("n_speakers", "?")
        left_out = f", {verdict.n_left_out} speakers left out" if verdict.n_left_out else ""
        words = f"{n} clips of {n_speakers} speakers in {verdict.corpus} (manifest {verdict.manifest}){left_out}"
        console.print(escape_for_console(f"{words}; {verdict.protocol}"), highlight=False, soft_wrap=True)
    if outcome.promoted or verdict.accepted:  # the error reports a refusal
        console.print(escape_for_console(f"{verdict.reason}."), highlight=False, soft_wrap=True)


def _print_promotion(outcome: "Outcome", reason: str) -> None:
    ref, before = outcome.ref, outcome.before
    if outcome.forced:
        why = f": {reason}" if reason else ""
        console.print(escape_for_console(f"Forced, and noted with the version{why}."), style="yellow", highlight=False)
    former_extractor = before.metadata.get("extractor_digest") if before else None
    stage = " --stage score" if former_extractor == ref.metadata.get("extractor_digest") else ""
    audio = "" if stage else " (another encoder: the audio is read again)"
    console.print(
        f"{ref.label} is @champion now"
        + (f", {before.label} is @previous" if before else "")
        + f". For nights gone: `undertone backfill --from D --to D{stage}`{audio}.",
        highlight=False,
        soft_wrap=True,
    )
