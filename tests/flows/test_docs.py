"""The README is true: every command stands in it, what it says parses, and its Python runs."""

import re
import shlex
import shutil

import click
import polars as pl
import pytest
import typer.main
from helpers.paths import ROOT

from flows.cli import app
from flows.settings import Settings

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.S)
SHELL = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
OURS = [shlex.split(line, comments=True) for line in SHELL if line.startswith("undertone ")]


def _leaves(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("command", list(_leaves(typer.main.get_command(app))), ids=" ".join)
def test_every_command_stands_there(command):
    assert any(words[1 : 1 + len(command)] == list(command) for words in OURS), f"undertone {' '.join(command)}"


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_what_stands_there_parses(words):
    command, arguments = typer.main.get_command(app), words[1:]
    while hasattr(command, "commands") and arguments:  # `undertone speakers` alone lists
        command, arguments = command.commands[arguments[0]], arguments[1:]
    dated = [re.sub(r"^D$", "2026-01-01", argument) for argument in arguments]
    with command.make_context(command.name, dated) as context:
        assert isinstance(context, click.Context) or context.params


def test_its_python_runs(sample_lake):
    shutil.copytree(sample_lake[0], "demo-lake")
    names: dict[str, object] = {}
    for block in [block for kind, block in BLOCKS if kind == "python"]:
        exec(block, names)
    assert names["values"].shape == (2, 88)
    for name in ("utterances", "features", "loud"):
        assert isinstance(names[name], pl.DataFrame)
        assert len(names[name]) > 0


def test_its_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    said = [
        *re.findall(r"`make ([a-z ]+)`", README),
        *(line.split("#")[0][5:] for line in SHELL if line.startswith("make ")),
    ]
    assert len(said) > 3
    for targets in said:
        for target in targets.split():
            assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_every_setting_has_a_word():
    for name, setting in Settings.model_fields.items():
        assert setting.description, name


def test_files_it_names_are_there():
    for path in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path
