"""Stand-alone pages from Great Expectations' Data Docs: nothing is fetched, nothing is run.

The original pages load Bootstrap, jQuery, Vega and pictures from other people's servers, and those scripts alone draw
the start page. Here the start page is plain HTML, and the tables' pages keep their text under a style sheet of ours.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

STYLE = "static/docs.css"
_CSS = """\
:root { color-scheme: light dark; --line: #8885; --quiet: light-dark(#f3f4f4, #252928);
  --bad: light-dark(#b3261e, #ff8a80); --good: light-dark(#1b7a3d, #6fd08c); }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; padding: 0 1.2rem; max-width: 80rem; }
a { color: light-dark(#0b5cad, #8ab4f8); }
table { border-collapse: collapse; margin: 0.4rem 0 1rem; }
td, th { border-bottom: 1px solid var(--line); padding: 0.3rem 0.9rem 0.3rem 0; text-align: left; vertical-align: top; }
ol.breadcrumb { display: flex; flex-wrap: wrap; gap: 0 0.8rem; list-style: none; padding: 0; }
.alert, .card-header { background: var(--quiet); padding: 0.4rem 0.7rem; border-radius: 4px; }
.alert h5, h6 { margin: 0; font-size: 1rem; }
.badge { background: var(--quiet); border-radius: 4px; padding: 0 0.3rem; font-family: ui-monospace, monospace; }
.container-fluid > .row:has(> .col-md-10) { display: grid; grid-template-columns: 15rem minmax(0, 1fr); gap: 1.5rem; }
.ge-navigation-sidebar-content { columns: 1; list-style: none; padding: 0; margin: 0.4rem 0; }
.btn-group label { margin-right: 0.8rem; }
.collapse:not(:target), .cooltip .top { display: none; }
.table-responsive, .show-scrollbars { overflow-x: auto; }
.text-success, .good { color: var(--good); } .text-danger, .bad { color: var(--bad); }
.text-warning { color: light-dark(#8a5300, #ffc46b); }
.fa-check-circle::before { content: "✓"; } .fa-times::before { content: "✗"; }
.fa-exclamation-triangle::before { content: "!"; }
body:has(#option2:checked) tr:has(> .hide-succeeded-validation-target-child),
body:has(#option2:checked) .hide-succeeded-validation-target,
body:has(#option2:checked) .ge-section:has(.hide-succeeded-validations-column-section-target-child) { display: none; }
@media (max-width: 700px) { .container-fluid > .row:has(> .col-md-10) { grid-template-columns: minmax(0, 1fr); } }
"""
_REMOTE_PARTS = re.compile(
    r"<script\b.*?</script>|<style\b.*?</style>|<link\b[^>]*>|<img\b[^>]*>|<footer>.*?</footer>", re.S
)
_ONCLICK = re.compile(r'\sonclick="[^"]*"')
_SUITE_LINKS = re.compile(r'<a href="[^"]*expectations/[^"]*"\s*>(.*?)</a>', re.S)  # whose pages are not written
_BLANK_LINES = re.compile(r"[ \t]*\n(?:[ \t]*\n)+[ \t]*")


@dataclass(frozen=True)
class CheckedTable:
    """One table's result on the start page."""

    table: str
    n_expectations: int
    failures: Sequence[str]  # in words


def make_stand_alone(
    pages: Mapping[str, bytes],  # of Great Expectations, by path
    checked: Sequence[CheckedTable],
    *,
    run_id: str,
) -> dict[str, bytes]:
    """Return by path the start page `index.html`, the page of each table, and their style sheet."""
    details = {path: page for path, page in pages.items() if path.startswith("validations/") and path.endswith(".html")}
    written = {path: _table_page(path, page.decode()) for path, page in details.items()}
    found = {table.table: path for table in checked for path in details if path.split("/")[1] == table.table}
    return {
        "index.html": _start_page(checked, found, run_id).encode(),
        STYLE: _CSS.encode(),
        **{path: page.encode() for path, page in written.items()},
    }


def _table_page(path: str, page: str) -> str:
    for pattern, replacement in ((_REMOTE_PARTS, ""), (_ONCLICK, ""), (_SUITE_LINKS, r"\1"), (_BLANK_LINES, "\n")):
        page = pattern.sub(replacement, page)
    up = "../" * path.count("/")
    return page.replace("</head>", f'<link rel="stylesheet" href="{up}{STYLE}">\n</head>', 1)


def _start_page(checked: Sequence[CheckedTable], found: Mapping[str, str], run_id: str) -> str:
    rows = "\n".join(_row(table, found.get(table.table)) for table in checked)
    title = f"Validation of run {escape(run_id)}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="stylesheet" href="{STYLE}"></head>
<body>
<h1>{title}</h1>
<p>Data Docs: what was expected of each staged table, and what was found. Made with Great Expectations.</p>
<table>
<tr><th>table</th><th>expectations</th><th>failed</th><th>what failed</th></tr>
{rows}
</table>
</body>
</html>
"""


def _row(table: CheckedTable, page: str | None) -> str:
    name = escape(table.table)
    link = f'<a href="{escape(page)}">{name}</a>' if page else name
    kind, mark = ("bad", f"✗ {len(table.failures)}") if table.failures else ("good", "✓ none")
    words = "<br>".join(escape(words) for words in table.failures)
    return f'<tr><td>{link}</td><td>{table.n_expectations}</td><td class="{kind}">{mark}</td><td>{words}</td></tr>'
