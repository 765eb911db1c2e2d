"""Views of the dashboard in a real browser."""

import re

import pytest
from helpers.dashboard_server import dashboard
from playwright.sync_api import Page, expect

from flows.analytics.sql import query

pytestmark = pytest.mark.browser
expect.set_options(timeout=60_000)  # a busy machine is no failure

WORDS = {
    "Overview": "Emotion mix",
    "Speakers": "Map of the voices",
    "Recording": "Momentary loudness",
    "Quality": "Rejects by reason",
    "Models": "Listen to ten on which they differ",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_opens_by_its_button(page: Page, address, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    for view, words in WORDS.items():
        page.get_by_role("button", name=view, exact=True).click()
        expect(page.get_by_text(words, exact=True)).to_be_visible()
        expect(page.locator(".ut-warning")).to_have_count(0)
        if view != "Recording":
            expect(page.locator(".ut-column canvas, .ut-column svg.marks").first).to_be_visible()


def test_a_view_opens_by_keyboard(page: Page, address):
    page.goto(address)
    page.get_by_role("button", name="Overview", exact=True).focus()
    for words in ("Who spoke most", "Momentary loudness"):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text(words)).to_be_visible()


def test_the_figures_are_what_duckdb_says(page: Page, address, lake):
    page.goto(address)
    for sources in (("sales", "support"), ("sales",)):
        expect(_figure(page, "Utterances out")).to_have_text(f"{_n_utterances(lake, sources):,}")
        expect(_figure(page, "Rejected")).to_have_text(f"{_n_rejects(lake) if 'sales' in sources else 0:,}")
        if len(sources) == 2:
            page.locator("marimo-multiselect").first.locator("button, [role=combobox]").first.click()
            page.get_by_role("option", name="support").click()


def test_the_figures_are_there_before_marimo_is(chromium, address, lake):
    """The page itself holds the figures for the seconds that marimo loads, until filtered ones replace them."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    expect(_figure(page, "Utterances out")).to_have_text(f"{_n_utterances(lake, ('sales', 'support')):,}")
    context.close()


def test_a_segment_plays(page: Page, address, lake):
    page.goto(f"{address}?view=recording")
    player = page.locator("audio").first
    player.focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('audio').currentTime > 0.05")
    start_s, end_s = (float(page.locator("tbody tr").first.locator("td").nth(cell).inner_text()) for cell in (1, 2))
    assert player.evaluate("audio => audio.duration") == pytest.approx(end_s - start_s, abs=0.02)


def test_search_finds_a_recording_by_its_name(page: Page, address):
    page.goto(f"{address}?view=recording")
    search = page.get_by_placeholder("part of its name")
    search.fill("voice-b")
    expect(page.locator(".ut-title").first).to_have_text(re.compile("voice-b"))
    search.fill("no such name")
    expect(page.get_by_text("Nothing in these days")).to_be_visible()


def test_nothing_is_wider_than_a_phone(page: Page, address):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    for view, words in WORDS.items():
        page.get_by_role("button", name=view, exact=True).click()
        expect(page.get_by_text(words, exact=True)).to_be_attached()
        assert page.evaluate("() => document.scrollingElement.scrollWidth <= innerWidth"), view
        assert page.evaluate(WIDER) == [], view


def test_an_empty_lake_says_what_to_run(chromium, page: Page, tmp_path):
    with dashboard(str(tmp_path / "lake")) as address:
        page.goto(address)
        expect(page.get_by_text("undertone demo")).to_be_visible()


WIDER = """() => [...document.querySelectorAll('.ut-head, .ut-bar, .ut-card, .ut-panel, .ut-column canvas')]
    .filter(part => part.getBoundingClientRect().right > innerWidth + 1).map(part => part.className)"""


def _figure(page: Page, label: str):
    return page.locator(".ut-card", has_text=label).locator("strong")


def _n_utterances(lake, sources):
    names = ", ".join(f"'{source}'" for source in sources)
    sql = f"""SELECT count(*) AS n FROM utterances JOIN recordings USING (recording_id)
        WHERE emotion IS NOT NULL AND source IN ({names})"""
    return query(lake, sql).to_pylist()[0]["n"]


def _n_rejects(lake):
    return query(lake, "SELECT count(*) AS n FROM rejects").to_pylist()[0]["n"]
