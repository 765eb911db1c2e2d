"""README, CONTRIBUTING and docs/: commands parse, links and anchors lead somewhere, generated pages are current."""

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import click
import pytest
import typer.main
from helpers.paths import ROOT

from data_contracts.errors import UndertoneError
from flows.cli.main import app
from flows.settings import Settings, configs
from flows.settings.page import GROUPS, IN_THE_FEATURE_VERSION, as_markdown

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, ROOT / "tests" / "bench" / "README.md", *sorted((ROOT / "models" / "weights").glob("*/README.md"))]
_FOLDERS = ("data_contracts", "features", "models", "tasks", "flows", "notebooks", "tests", "docs")
_OF_A_LAKE = ("features/egemaps", "models/NAME")  # or of a bucket
CODE = ("undertone", "data_contracts", "features", "models", "tasks", "flows")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"```(\w+)\n(.*?)```", page.read_text(), flags=re.S)


def _prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.S)


def _shell(page: Path) -> list[str]:
    return [line for kind, block in _blocks(page) if kind == "sh" for line in block.splitlines()]


IN_BLOCKS = sorted(
    {line.split("#")[0].strip() for page in PAGES for line in _shell(page) if line.startswith("undertone ")}
)
INLINE = sorted({said for page in PAGES for said in re.findall(r"`(undertone [^`…]+)`", _prose(page))})


def _leaves(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("command", list(_leaves(typer.main.get_command(app))), ids=" ".join)
def test_every_command_stands_in_a_block(command):
    said = [shlex.split(line) for line in IN_BLOCKS]
    assert any(words[1 : 1 + len(command)] == list(command) for words in said), f"undertone {' '.join(command)}"


def _parse(line: str) -> None:
    command, arguments = typer.main.get_command(app), shlex.split(line)[1:]
    if arguments[0] == "--debug":
        arguments = arguments[1:]
    while hasattr(command, "commands") and arguments and not arguments[0].startswith("-"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    dated = [re.sub(r"^D$", "2026-01-01", argument) for argument in arguments]
    with command.make_context(command.name, dated) as context:
        assert isinstance(context, click.Context) or context.params


@pytest.mark.parametrize("line", IN_BLOCKS)
def test_a_command_in_a_block_parses(line):
    _parse(line)


@pytest.mark.parametrize("line", INLINE)
def test_a_command_in_a_sentence_parses(line):
    try:
        _parse(line)
    except Exception as error:  # Typer raises classes of its own for what Click has too
        if type(error).__name__ not in ("MissingParameter", "BadOptionUsage"):
            raise


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    said = {
        target
        for page in PAGES
        for words in (
            *re.findall(r"`make ([a-z0-9 -]+)`", page.read_text()),
            *(line.split("#")[0][5:] for line in _shell(page) if line.startswith("make ")),
        )
        for target in words.split()
    }
    assert len(said) > 5
    for target in said:
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


@cache
def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", _prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=_name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"(?:\]\(|src=\")([^)\s\"]+)", _prose(page)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), f"{link}: expected one of {sorted(_anchors(target))}"


def _exists(path: str) -> bool:
    return path.startswith(_OF_A_LAKE) or (ROOT / path).exists()


@pytest.mark.parametrize("page", LINKED, ids=_name)
def test_files_and_modules_it_names_are_there(page):
    said = page.read_text()
    named = re.findall(rf"(?<![\w./-])(?:{'|'.join(_FOLDERS)})/[\w./-]*\w", said)
    named += [f"tests/{test}" for test in re.findall(r"`(test_\w+\.py)`", said) if not list(ROOT.rglob(test))]
    dotted = re.findall(rf"`((?:{'|'.join(CODE)})\.[\w.]+)`", said)
    named += [module for module in dotted if not _is_module_or_symbol(module)]
    assert [path for path in named if not _exists(path)] == []


def _is_module_or_symbol(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    if path.is_dir() or path.with_suffix(".py").exists():
        return True
    homes = (path.parent / "__init__.py", path.parent.with_suffix(".py"))
    return any(home.exists() and re.search(rf"\b{path.name}\b", home.read_text()) for home in homes)


def test_every_page_is_reached_from_the_readme():
    linked = re.findall(r"\]\(([^)#\s]+)", (ROOT / "README.md").read_text())
    assert {_name(page) for page in PAGES} - {"README.md"} <= set(linked)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "tests" / "bench" / "README.md"], ids=_name)
def test_lines_are_short(page):
    """Of tables those alone that stand in the README."""
    lines = page.read_text().splitlines()
    wide = [
        line for line in lines if len(line) > 100 and (page == ROOT / "README.md" or not line.lstrip().startswith("|"))
    ]
    assert wide == []
    assert page != ROOT / "README.md" or len(lines) <= 150


def test_settings_are_the_page_of_today():
    assert (ROOT / "docs" / "settings.md").read_text() == as_markdown(), "run `make docs`"


def test_every_setting_has_a_word_and_one_heading():
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(Settings.model_fields)
    assert all(setting.description for setting in Settings.model_fields.values())


def test_settings_of_the_feature_version_are_marked():
    other = {"channels": "each", "dc": "none", "resampler": "VHQ", "denoise": "wiener", "level_lufs": -23.0}
    other |= {"vad": "energy", "cluster": "threads", "layout": "modified", "notify_on": "drift"}
    other["emotion_prior"] = "balanced"

    def version(**flags):
        return configs.feature_config(Settings.load(**flags), same_voice=0.6).version("encoder")

    for name, setting in Settings.model_fields.items():
        value = setting.default
        if name not in other:
            if isinstance(value, bool):
                other[name] = not value
            elif isinstance(value, int | float):
                other[name] = value / 2 if name in ("rmm_pool", "drift_share", "truncated_share") else value + 1
            else:
                other[name] = "https://example.org" if name == "notify" else "elsewhere"
        assert (version(**{name: other[name]}) != version()) == (name in IN_THE_FEATURE_VERSION), name


def test_variables_are_settings():
    known = {f"UNDERTONE_{name}".upper() for name in Settings.model_fields}
    said = {name for page in PAGES for name in re.findall(r"UNDERTONE_[A-Z_]*[A-Z]", page.read_text())}
    assert {name for name in said if not name.startswith("UNDERTONE_TEST")} <= known


def _said_by_the_code() -> str:
    """The text of every string, f-strings cut where values stand."""
    constants = []
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text())
            constants += [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return "\n".join(value for value in constants if isinstance(value, str))


def test_messages_of_troubleshooting_are_those_of_the_code():
    code = _said_by_the_code()
    rows = re.findall(r"^\| (`.+?`.*?) \| ", (ROOT / "docs" / "troubleshooting.md").read_text(), flags=re.M)
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 40
    for message in messages:
        for part in message.split("…"):
            assert part.strip() in code, message


def test_exit_codes_are_those_of_the_code():
    table = dict(re.findall(r"^\| (\d+) \| (.+) \|$", (ROOT / "docs" / "operations.md").read_text(), flags=re.M))
    codes = {error.exit_code for error in (UndertoneError, *UndertoneError.__subclasses__())}
    assert {"0", "130", *map(str, codes)} == set(table)
