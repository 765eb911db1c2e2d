"""Page of the report: one section for each question, in the order of a morning's check."""

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from data_contracts.schema.tables import STAGES
from flows.report import charts
from flows.report.facts import Facts
from flows.report.html import Html, bar_list, element, join, table

_STYLE = Path(__file__).with_name("report.css")
_GOOD = {"done": "good", "passed": "good", "running": "warn", "warned": "warn", "stopped": "bad", "failed": "bad"}
_MEASURES = {
    "loudness_lufs": "loudness (LUFS)",
    "snr_db": "speech above noise (dB)",
    "bandwidth_hz": "bandwidth (Hz)",
}
_HEAD = Html(
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    '<meta name="referrer" content="no-referrer">'
)


def render_page(facts: Facts) -> str:
    """Return the whole document."""
    title = f"Undertone, run {facts.run['run_id']}"
    sections = (_verdict, _stages, _emotions, _speakers, _quality, _rejects, _drift, _versions, _how_to_query)
    body = [_header(facts), *(section(facts) for section in sections)]
    head = element("head", _HEAD, element("title", title), element("style", Html(_STYLE.read_text())))
    return f"<!doctype html>\n{element('html', head, element('body', element('main', *body)), lang='en')}\n"


def _header(facts: Facts) -> Html:
    run = facts.run
    status = element("span", run["status"], class_=f"status {_GOOD.get(run['status'], 'bad')}")
    window = f"{run['window_from']} to {run['window_to']}" if run["window_from"] else "all dates"
    duration = f"{_seconds(run)}, " if run["finished"] else ""
    when = f"{run['flow']} over {window}; {duration}started {run['started']:%Y-%m-%d %H:%M} UTC"
    tiles = {
        "audio read": f"{run['audio_hours']:,.2f} h",
        "real time": f"{run['rtfx']:,.0f}x" if run["rtfx"] else "",
        "objects listed": f"{run['n_listed']:,}",
        "read": f"{run['n_read']:,}",
        "rejected": f"{run['n_rejected']:,}",
        "recordings published": f"{run['n_published_recordings']:,}",
        "utterances published": f"{run['n_published_utterances']:,}",
        "new voices": f"{run['n_new_speakers']:,}",
    }
    entries = [element("div", element("dt", name), element("dd", value)) for name, value in tiles.items() if value]
    parts = [element("h1", f"Run {run['run_id']}", status), element("p", when, class_="soft")]
    if run["error"]:
        where = f"In {run['stage']}: " if run["stage"] else ""
        parts.append(element("div", f"{where}{run['error']}", class_="box"))
    if not facts.frames and run["status"] == "done":
        parts.append(element("p", "Nothing was new: the tables are as they were."))
    return element("header", *parts, element("dl", *entries, class_="tiles"))


def _seconds(run: Mapping[str, Any]) -> str:
    seconds = (run["finished"] - run["started"]).total_seconds()
    return f"{seconds:,.1f} s" if seconds < 600 else f"{dt.timedelta(seconds=round(seconds))} h"


def _section(title: str, *parts: str) -> Html:
    return element("section", element("h2", title), *parts)


def _verdict(facts: Facts) -> Html:
    word = facts.run["verdict"]
    badge = element("b", word.replace("_", " "), class_=_GOOD.get(word, ""))
    parts = [element("p", "The audit: ", badge, *_docs(facts))]
    if facts.failures:
        parts.append(element("ul", *(element("li", failure) for failure in facts.failures)))
    return _section("Is it right?", *parts)


def _docs(facts: Facts) -> list[Html]:
    """Return the link to the Data Docs beside the report."""
    docs, folder = facts.run["validation"] or "", facts.lake.uri_of(facts.folder) + "/"
    return (
        [join(" (", element("a", "Data Docs", href=docs.removeprefix(folder)), ")")] if docs.startswith(folder) else []
    )


def _stages(facts: Facts) -> Html:
    seconds_by_stage = [(stage, facts.run[f"{stage}_s"]) for stage in STAGES if facts.run[f"{stage}_s"] is not None]
    if not seconds_by_stage:
        return Html()
    rows = [(stage, seconds, f"{seconds:,.1f} s", "#0072B2") for stage, seconds in seconds_by_stage]
    return _section("Where did the time go?", bar_list(rows, "Seconds by stage"))


def _emotions(facts: Facts) -> Html:
    mix = facts.frames.get("emotions", pl.DataFrame())
    if mix.is_empty():
        return Html()
    total = mix.group_by("emotion").agg(pl.col("n_utterances").sum(), pl.col("speech_s").sum())
    ranked = total.sort("n_utterances", "emotion", descending=[True, False]).head(12)
    total_utterances = mix["n_utterances"].sum()
    rows = [
        [emotion, f"{n:,}", f"{n / total_utterances:.1%}", f"{speech_s / 60:,.1f}"]
        for emotion, n, speech_s in ranked.select("emotion", "n_utterances", "speech_s").iter_rows()
    ]
    listing = table(["emotion", "utterances", "share", "speech (min)"], rows, numbers=3)
    return _section("What emotions?", _days(facts), element("div", charts.emotion_chart(mix), listing, class_="two"))


def _days(facts: Facts) -> Html:
    days = facts.frames["emotions"]["date"].to_list()  # in their order
    now = "; the tables as they are now, for the run's own are gone or it left none" if facts.is_current else ""
    return element("p", f"{days[0]} to {days[-1]}{now}", class_="soft")


def _speakers(facts: Facts) -> Html:
    speakers = facts.frames.get("speakers", pl.DataFrame())
    if speakers.is_empty():
        return Html()
    from flows.charts.palette import GREY, KINDS

    rows = [
        (
            f"{row['name']} (new)" if row["is_new"] else row["name"],
            row["speech_min"],
            f"{row['speech_min']:,.1f} min in {row['n_utterances']:,}",
            KINDS.get(row["kind"], GREY),
        )
        for row in speakers.iter_rows(named=True)
    ]
    legend = join(
        *(element("span", element("i", style=f"background:{KINDS[kind]}"), kind) for kind in _kinds(speakers))
    )
    words = element("p", "Minutes of speech on the run's dates, in so many utterances.", legend, class_="soft key")
    return _section("Who spoke most?", words, bar_list(rows, "Minutes of speech by speaker"))


def _kinds(speakers: pl.DataFrame) -> list[str]:
    from flows.charts.palette import KINDS

    return [kind for kind in KINDS if kind in set(speakers["kind"])]


def _quality(facts: Facts) -> Html:
    sources, daily = (facts.frames.get(name, pl.DataFrame()) for name in ("sources", "quality"))
    if sources.is_empty():
        return Html()
    rows = [
        [
            row["source"],
            f"{row['n_recordings']:,}",
            f"{row['hours']:,.2f}",
            _share(row["n_rejected"], row["n_recordings"]),
            _share(row["n_truncated"], row["n_recordings"]),
            _share(row["n_abstained"], row["n_utterances"]),
        ]
        for row in sources.iter_rows(named=True)
    ]
    listing = table(["source", "recordings", "audio (h)", "rejected", "truncated", "no emotion told"], rows, numbers=5)
    measures = [
        charts.measure_chart(values, name, title)
        for name, title in _MEASURES.items()
        if not (values := daily.filter(pl.col(name).is_not_null())).is_empty()
    ]
    note = f"Of {rows[0][0]}: the day's median, and where four of five recordings lie. " if measures else ""
    return _section(
        "How good was the audio?", listing, element("p", note, class_="soft"), element("div", *measures, class_="three")
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _rejects(facts: Facts) -> Html:
    rejects, examples = (facts.frames.get(name, pl.DataFrame()) for name in ("rejects", "examples"))
    if rejects.is_empty():
        return Html()
    rows = [(reason, float(n), f"{n:,}", "#D55E00") for reason, n in rejects.iter_rows()]
    parts = [bar_list(rows, "Rejected recordings by reason")]
    if not examples.is_empty():
        items = [
            element("li", element("b", reason), " ", element("code", uri), element("div", error or ""))
            for uri, reason, error in examples.iter_rows()
        ]
        parts += [element("p", "By this run, for example:", class_="soft"), element("ul", *items, class_="examples")]
    return _section("What could not be used?", *parts)


def _drift(facts: Facts) -> Html:
    drift = facts.frames.get("drift", pl.DataFrame())
    if drift.is_empty():
        return Html()
    exceeded = drift.filter("over").sort("date", "measure", descending=[True, False]).head(10)
    rows = [
        [str(row["date"]), row["measure"], f"{row['value']:.3f}", f"{row['threshold']:.3f}"]
        for row in exceeded.iter_rows(named=True)
    ]
    listing = table(["date", "measure", "value", "threshold"], rows, numbers=2) if rows else None
    words = (
        "The measures that came nearest to their thresholds, or went past them."
        if rows
        else "Nothing went past its threshold."
    )
    parts = element("div", charts.drift_chart(drift), *([listing] if listing else []), class_="two")
    return _section("Is it like the days before?", element("p", words, class_="soft"), parts)


def _versions(facts: Facts) -> Html:
    run = facts.run
    rows = [
        ["Undertone", run["code_version"]],
        ["emotion model", run["emotion_model"]],
        ["speaker model", run["speaker_model"]],
        ["feature version", run["feature_version"]],
        ["Delta versions", _table_versions(run["versions"])],
    ]
    return _section("What made it?", table(["what", "version"], [row for row in rows if row[1]]))


def _table_versions(document: str | None) -> str:
    """Return the Delta versions that the run recorded, of the tables that existed."""
    return ", ".join(f"{table} {version}" for table, version in json.loads(document or "{}").items() if version >= 0)


def _how_to_query(facts: Facts) -> Html:
    run, lake = facts.run, facts.lake.uri
    flag = f" --as-of {run['run_id']}" if run["status"] == "done" else ""
    as_of = f', as_of="{run["run_id"]}"' if flag else ""
    sql = "SELECT date, emotion, sum(n_utterances) FROM emotion_daily GROUP BY ALL ORDER BY ALL"
    lines = [
        "# in a shell; `undertone tables` lists tables and columns",
        f'undertone query --lake {lake}{flag} "{sql}"',
        "",
        "# in Python, a polars LazyFrame",
        "import undertone as ut",
        f'ut.open("{lake}").scan("utterances"{as_of})',
    ]
    return _section("How do I ask more?", element("pre", "\n".join(lines)))
