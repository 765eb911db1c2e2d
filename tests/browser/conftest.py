"""Fixtures: a real Chromium, and the dashboard as a real process over a small lake with audio."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile as sf
from helpers.dashboard_server import CHROMIUM, FLAGS, dashboard
from helpers.lakes import make_lake
from helpers.synthetic_lake import Size, make
from playwright.sync_api import Browser, Page, sync_playwright

from data_contracts.lake import Lake


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: `make test-browser` installs Debian's and runs these")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Lake:
    """A week of made-up rows about real files."""
    made = make_lake(tmp_path_factory.mktemp("board"))
    files = [(str(path), sf.info(path).duration) for path in sorted(sample.rglob("call-*-voice-*.flac"))[:6]]
    make(made, Size(600, 7, n_speakers=8, files=files))
    return made


@pytest.fixture(scope="session")
def address(chromium: Browser, lake: Lake) -> Iterator[str]:
    """Address of the dashboard of `lake`."""
    with dashboard(lake.uri) as found:
        yield found


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page whose errors, and whatever it asks of another machine, fail the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page, wrong = context.new_page(), list[str]()
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if _is_here(asked.url) else wrong.append(asked.url))
    page.set_default_timeout(60_000)
    yield page
    context.close()
    assert not wrong


def _is_here(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
