"""Time to first paint of the dashboard in a real Chromium, on a made-up lake of millions; or pictures of any lake.

    .venv/bin/python tests/bench/dashboard.py [--utterances 10000000] [--lake DIR]
    .venv/bin/python tests/bench/dashboard.py --pictures docs/pictures --lake demo-lake

Measured from the request of the page to what is painted first, and to the view's own figures, which answer to filters:
marimo's page, kernel and queries included, the server's start apart. Each view is opened three times in a new browser
context, so nothing is in the browser's cache.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tables import print_head, print_row

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers.dashboard_server import CHROMIUM, FLAGS, dashboard  # noqa: E402
from helpers.synthetic_lake import Size, make  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from data_contracts.lake import Lake  # noqa: E402

VIEWS = ("overview", "speakers", "recording", "quality", "models")
FIRST = "#ut-first"  # what stands there while marimo loads: of the overview its figures, of others their head
LIVE = "#root .ut-card strong, .ut-stack canvas, .ut-advice, .ut-warning"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--utterances", type=int, default=10_000_000)
    parser.add_argument("--lake", help="one that exists already, or where to make one")
    parser.add_argument("--pictures", type=Path, help="write a picture of each view there, and measure nothing")
    parser.add_argument("--views", nargs="+", choices=VIEWS, default=VIEWS, help="pictures of these alone")
    options = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("expected a Chromium, found none: run .ci/chromium, as root")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        lake = Lake(options.lake or folder)
        if lake.delta("runs") is None:
            began = time.monotonic()
            make(lake, Size(options.utterances, 365, n_speakers=5_000))
            print(f"made {options.utterances:,} utterances in {time.monotonic() - began:.0f} s")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        began = time.monotonic()
        with dashboard(lake.uri) as address:
            started_s = time.monotonic() - began
            if options.pictures:
                pictures(browser, address, options.pictures, options.views)
            else:
                report(browser, address, started_s)
        browser.close()


def report(browser: Browser, address: str, started_s: float) -> None:
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; server up in {started_s:.1f} s"
    )
    print_head("view", "painted (s)", "live (s)")
    for view in VIEWS:
        times = [opened(browser, f"{address}?view={view}") for _ in range(3)]
        painted_s, live_s = (statistics.median(each) for each in zip(*times, strict=True))
        print_row(view, f"{painted_s:.2f}", f"{live_s:.2f}")


def opened(browser: Browser, url: str) -> tuple[float, float]:
    """Seconds from asking for the page to what is painted first, and to the view's own figures."""
    context = browser.new_context()
    page = context.new_page()
    began = time.monotonic()
    page.goto(url, wait_until="commit")
    page.locator(FIRST).wait_for()
    painted_s = time.monotonic() - began
    page.locator(LIVE).first.wait_for(timeout=120_000)
    live_s = time.monotonic() - began
    context.close()
    return painted_s, live_s


def pictures(browser: Browser, address: str, folder: Path, views: Sequence[str]) -> None:
    """A picture a view, the overview also in the dark and as a phone shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    for view in views:
        picture(browser, f"{address}?view={view}", folder / f"{view}.png")
    if "overview" in views:
        picture(browser, address, folder / "overview-dark.png", scheme="dark")
        picture(browser, address, folder / "overview-phone.png", width=390)


def picture(browser: Browser, url: str, path: Path, *, scheme: str = "light", width: int = 1200) -> None:
    """As high as the page is, 1,400 pixels at most."""
    context = browser.new_context(viewport={"width": width, "height": 1400}, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    page.locator(LIVE).first.wait_for(timeout=120_000)
    whole, height, before = page.locator(".ut-column, .ut-advice").last, 1.0, 0.0
    while height != before:  # charts are drawn one after another
        page.wait_for_timeout(3_000)
        before, height = height, (whole.bounding_box() or {"height": 1400})["height"]
    parts = whole.bounding_box() or {"y": 0, "height": 1400}
    page.set_viewport_size({"width": width, "height": min(1400, int(parts["y"] + parts["height"] + 32))})
    page.wait_for_timeout(1_000)
    page.screenshot(path=path)
    context.close()


if __name__ == "__main__":
    main()
