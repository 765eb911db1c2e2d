# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Layout of the dashboard, a marimo app: `undertone dashboard`. The other modules query, `flows.charts` draws."""

import marimo

app = marimo.App(width="full", app_title="Undertone", css_file="app.css")

with app.setup:
    import marimo as mo

    from flows.charts import panels, timelines
    from flows.charts.palette import GREEN
    from flows.dashboard import audio, comparison, components, filters, overview, quality, recordings, speakers, tables
    from flows.settings import Settings

    VIEWS = ("Overview", "Speakers", "Recording", "Quality", "Models")


@app.cell
def _():
    settings = Settings.load()
    lake = settings.open_lake()
    everything = filters.all_choices(lake)
    return everything, lake, settings


@app.cell
def _(everything, lake):
    mo.stop(everything is None, components.no_data_advice(lake.uri))
    _view = str(mo.query_params().get("view", "")).title()
    view, show = mo.state(_view if _view in VIEWS else VIEWS[0])
    _days = (everything.first, everything.last)
    days = mo.ui.date_range(*_days, _days, label="Dates")
    sources = mo.ui.multiselect(everything.sources, everything.sources, label="Sources")
    kinds = mo.ui.multiselect(everything.kinds, everything.kinds, label="Voices")
    return days, kinds, show, sources, view


@app.cell
def _(lake, show):
    tabs = mo.ui.array([mo.ui.button(label=_name, on_change=lambda _, name=_name: show(name)) for _name in VIEWS])
    components.page_head(lake.uri, tabs)


@app.cell
def _(days, kinds, sources, view):
    selection = filters.Filters(*days.value, tuple(sources.value), tuple(kinds.value))
    _controls = {"Overview": [sources, kinds], "Speakers": [kinds], "Models": []}.get(view(), [sources])
    components.filter_bar(VIEWS.index(view()), [days, *_controls])
    return (selection,)


@app.cell
def _(lake, selection, view):
    mo.stop(view() != "Overview")

    def _build():
        return components.cards(overview.cards(overview.figures(lake, selection)))

    components.render_or_warn(_build)


@app.cell
def _(lake, selection, view):
    mo.stop(view() != "Overview")

    def _build():
        runs = overview.runs(lake)
        timed = runs.filter(runs["rtfx"].is_not_null())
        health = components.table(
            ("started", "status", "read", "rejected", "utterances", "RTFx"), tables.run_rows(runs)
        )
        return components.column(
            components.warning(overview.failed_run_warnings(runs)),
            components.grid(
                components.chart_panel("Emotion mix", overview.emotions(lake, selection), panels.emotions_by_date),
                components.chart_panel("Audio in", overview.hours(lake, selection), panels.hours_by_date),
                components.chart_panel("Speed of the last runs", timed, panels.run_speed),
                components.panel("Health of the last runs", health),
            ),
        )

    components.render_or_warn(_build)


@app.cell
def _(lake, selection, view):
    mo.stop(view() != "Speakers")

    def _build():
        top, voices = speakers.top_speakers(lake, selection), speakers.voice_map(lake, selection)
        mix = speakers.emotions(lake, selection, top)
        note = "Similar voices lie near each other: centroids of the voices on their first two principal components."
        return components.column(
            components.cards(
                {"Speakers heard": (f"{speakers.n_speakers(lake, selection):,}", "different voices in these days")}
            ),
            components.grid(
                components.chart_panel("Who spoke most", top, panels.speech_by_speaker),
                components.chart_panel("Emotion by speaker", mix, panels.emotion_by_speaker),
                components.chart_panel("Map of the voices", voices, panels.voice_map, note, wide=True),
            ),
        )

    components.render_or_warn(_build)


@app.cell
def _(view):
    mo.stop(view() != "Recording")
    words = mo.ui.text(placeholder="part of its name", label="Search", debounce=300)
    return (words,)


@app.cell
def _(lake, selection, words):
    _found = {recordings.option_label(row): row for row in recordings.search(lake, selection, words.value).to_dicts()}
    choice = mo.ui.dropdown(_found, value=next(iter(_found), None), label="Recording", searchable=True, full_width=True)
    return (choice,)


@app.cell
def _(choice, words):
    _n_parts = audio.n_stretches(choice.value["seconds"]) if choice.value else 1
    _channels = [str(number) for number in (choice.value or {}).get("channels") or [0]]
    part = mo.ui.slider(1, max(2, _n_parts), label=f"Part, of {_n_parts}", show_value=True)
    channel = mo.ui.dropdown(_channels, value=_channels[0], label="Channel")
    components.control_bar(words, choice, *([channel] if len(_channels) > 1 else []), *([part] if _n_parts > 1 else []))
    return channel, part


@app.cell
def _(channel, choice, lake, part, settings):
    mo.stop(choice.value is None, components.warning([components.NO_ROWS]))

    def _build():
        recording = recordings.read_recording(lake, choice.value["recording_id"], choice.value["date"])
        span = audio.stretch(recording.seconds, part.value)
        samples, utterances = audio.read_span(recording, span, int(channel.value), settings), recording.within(span)
        wave, f0, loud = (measure(samples, span.start_s) for measure in (audio.envelope, audio.pitch, audio.loudness))
        players = components.table(
            ("", "from (s)", "to (s)", "emotion", "score", "speaker"), tables.utterance_rows(recording, utterances)
        )
        return components.column(
            components.panel(
                recording.name,
                components.stack(
                    {
                        "Waveform, of full scale": timelines.waveform(wave, span),
                        "Emotion": timelines.emotion_bars(utterances, span),
                        "Speaker": timelines.speaker_bars(utterances, span),
                        "Fundamental frequency": timelines.contour(f0, span, "f0_hz", "F0 (Hz)"),
                        "Momentary loudness": timelines.contour(loud, span, "loudness_lufs", "LUFS", GREEN),
                    }
                ),
            ),
            components.panel("Listen", players),
        )

    components.render_or_warn(_build)


@app.cell
def _(lake, selection, view):
    mo.stop(view() != "Quality")

    def _build():
        daily, shares = quality.daily(lake, selection), quality.shares(lake, selection)
        spread_note = "The median of the day's recordings; four of five lie in the band."
        drift_note = "Distance of the day from the 28 before, in thresholds; what passes the line is warned of."
        return components.column(
            components.cards(
                {
                    "Rejected": (quality.percent(shares["rejected"]), "of the files"),
                    "Clipped": (quality.percent(shares["clipped"]), "of the samples"),
                    "Without emotion": (quality.percent(shares["abstained"]), "of the utterances"),
                }
            ),
            components.grid(
                components.chart_panel("Rejects by reason", quality.rejects(lake, selection), panels.rejects_by_reason),
                components.panel(
                    "Validation", components.table(("run", "verdict", ""), tables.audit_rows(quality.audits(lake)))
                ),
                components.chart_panel(
                    "Loudness", daily, lambda rows: panels.spread_by_date(rows, "loudness_lufs", "LUFS"), spread_note
                ),
                components.chart_panel(
                    "Signal to noise",
                    daily,
                    lambda rows: panels.spread_by_date(rows, "snr_db", "SNR (dB)"),
                    spread_note,
                ),
                components.chart_panel(
                    "Bandwidth", daily, lambda rows: panels.spread_by_date(rows, "bandwidth_hz", "Hz"), spread_note
                ),
                components.chart_panel("Drift", quality.drift(lake, selection), panels.drift_by_date, drift_note),
            ),
        )

    components.render_or_warn(_build)


@app.cell
def _(lake, view):
    mo.stop(view() != "Models")
    _versions = {version.label: version for version in comparison.scored_versions(lake)}
    mo.stop(len(_versions) < 2, components.one_model_advice())
    _newer, _older, *_ = _versions
    left = mo.ui.dropdown(_versions, value=_older, label="This model")
    right = mo.ui.dropdown(_versions, value=_newer, label="against this one")
    components.control_bar(left, right)
    return left, right


@app.cell
def _(lake, left, right, selection):
    def _build():
        agreement = comparison.compare(lake, selection, left.value, right.value)
        names = left.value.emotion_model, right.value.emotion_model
        players = components.table(("", *names, "date"), tables.difference_rows(agreement.differ))
        share = f"{agreement.n_same / agreement.n:.1%}" if agreement.n else "none"
        return components.column(
            components.cards(
                {
                    "Scored by both": (f"{agreement.n:,}", f"utterances, {agreement.first} to {agreement.last}"),
                    "Agree": (share, "of them have the same emotion"),
                }
            ),
            components.grid(
                components.chart_panel("Who says what", agreement.pairs, lambda rows: panels.confusion(rows, *names)),
                components.chart_panel("Listen to ten on which they differ", agreement.differ, lambda _: players),
            ),
        )

    components.render_or_warn(_build)


if __name__ == "__main__":
    app.run()
