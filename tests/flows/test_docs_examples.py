"""Python examples of README and docs/, run page by page on the demo's lake."""

import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from helpers.paths import ROOT

SHOWN = {
    "README.md": ("values",),
    "docs/egemaps.md": ("values",),
    "docs/querying.md": ("utterances", "loud", "features", "daily", "plain", "vectors", "levels"),
}


def _python(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.S)


def test_no_page_is_left_out():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    assert {str(page.relative_to(ROOT)) for page in pages if _python(page)} == SHOWN.keys()


@pytest.mark.parametrize("page", SHOWN)
def test_its_python_runs(page, sample_lake):
    shutil.copytree(sample_lake[0], "demo-lake")
    names: dict[str, object] = {}
    for block in _python(ROOT / page):
        exec(block, names)
    for name in SHOWN[page]:
        shown = names[name]
        assert isinstance(shown, pl.DataFrame) or shown.shape == (2, 88)
        assert len(shown) > 0


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], ids=lambda page: page.name)
def test_its_sql_is_answered(page, sample_lake):
    from data_contracts import lake
    from flows.analytics.sql import query

    blocks = re.findall(r"```sql\n(.*?)```", page.read_text(), flags=re.S)
    said = [*blocks, *re.findall(r'^undertone query "([^"]+)"', page.read_text(), flags=re.M)]
    for sql in said:
        query(lake.open(str(sample_lake[0])), sql)
