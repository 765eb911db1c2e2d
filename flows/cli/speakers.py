"""`undertone speakers`: list, rename, merge, forget; alone, it lists."""

import json
from typing import Annotated, Any

import typer

from flows.cli.options import Json, Lake, open_lake
from flows.cli.tables import Limit
from flows.terminal.screen import escape_for_console, make_console

app = typer.Typer(help="Who was heard: list them, give a found voice a name, merge two, forget one.")
console = make_console()
Who = Annotated[str, typer.Argument(help="A speaker's id or name.", show_default=False)]
_COLUMNS = ("name", "speaker_id", "kind", "n_utterances", "speech_s", "first_seen", "last_seen", "extractor")


@app.callback(invoke_without_command=True)
def speakers(context: typer.Context, lake: Lake = None, limit: Limit = 100, as_json: Json = False) -> None:
    """List speakers: the enrolled by name, the others by a stable pseudonym. Alone, it lists."""
    if context.invoked_subcommand is None:
        list_speakers(lake, limit, as_json)


@app.command("list")
def list_speakers(lake: Lake = None, limit: Limit = 100, as_json: Json = False) -> None:
    """List speakers, those with most utterances first; merged voices count for the speaker that stays."""
    import polars as pl

    from flows.terminal.output import print_rows
    from tasks.speakers.lookup import load_speakers

    people = load_speakers(open_lake(lake)).filter(pl.col("kind") != "merged")
    order = people.sort("n_utterances", "speaker_id", descending=[True, False]).head(limit)
    print_rows(console, order.select(_COLUMNS).to_arrow(), style="json" if as_json else "table")


@app.command()
def rename(
    who: Who,
    name: Annotated[str, typer.Argument(help="The new name.", show_default=False)],
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Give a speaker a name; a found voice is known by it from now on. The speaker_id stays."""
    from tasks.speakers import curation

    row = curation.rename(open_lake(lake), who, name)
    words = (
        f"[bold]{escape_for_console(row['name'])}[/bold] is the name of {row['speaker_id']} now: speaker_known is true."
    )
    _print_result(row, words, as_json=as_json)


@app.command()
def merge(
    into: Annotated[str, typer.Argument(help="Who stays, by id or name.", show_default=False)],
    others: Annotated[list[str], typer.Argument(help="Who turned out to be the same person.", show_default=False)],
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Make several speakers one. Later nights and backfills assign those voices to the speaker that stays."""
    from tasks.speakers import curation

    row = curation.merge(open_lake(lake), into, others)
    _print_result(
        row,
        f"[bold]{escape_for_console(row['name'])}[/bold] ({row['speaker_id']}) has {row['n_utterances']:,} utterances "
        f"now, {row['speech_s']:,.1f} s.",
        as_json=as_json,
    )


@app.command()
def forget(
    who: Who,
    vacuum: Annotated[
        bool, typer.Option("--vacuum", help="Remove the tables' older versions from the store too, at once.")
    ] = False,
    lake: Lake = None,
    as_json: Json = False,
) -> None:
    """Delete a speaker's name, pseudonym, voice and sources. The utterances stay, as of speaker `forgotten`.

    What stays besides: recordings, features (the embeddings among them), and older versions of the tables, unless
    --vacuum. The next night on which the voice is heard, or a backfill, founds a pseudonym for it as for any other.
    """
    from tasks.speakers import curation

    opened = open_lake(lake)
    row = curation.forget(opened, who)
    n_files = curation.remove_history(opened) if vacuum else None
    history = (
        f"Older versions of the tables were removed ({n_files} files); the Delta logs keep the least and the greatest "
        "name of those files until they are cleaned."
        if vacuum
        else "Older versions of speakers, utterances and speaker_daily can still be read `as of` before now, until "
        "they are vacuumed; `forget --vacuum` does so at once, and breaks who reads them."
    )
    _print_result(
        {**row, "history_removed": vacuum},
        f"{row['speaker_id']} is forgotten: {row['n_voices']} row(s) of speakers are deleted, {row['n_utterances']:,} "
        f"utterances are nobody's now (speaker_id 'forgotten').\n{history}\n"
        "Recordings and features stay, the embeddings among them: who may not be heard again has to be taken out of "
        "the corpus and of features/. Otherwise a night or a backfill that hears the voice gives it a pseudonym.",
        as_json=as_json,
    )


def _print_result(row: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: value for name, value in row.items() if name != "centroid"}, default=str))
        return
    console.print(words, highlight=False, soft_wrap=True)
