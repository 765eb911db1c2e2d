# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Layout of the dashboard, a marimo app: `undertone dashboard`. The other modules query, `flows.charts` draws."""

import marimo

app = marimo.App(width="full", app_title="Undertone", css_file="app.css")

with app.setup:
    import marimo as mo

    from flows.charts import panels
    from flows.charts import recording as recording_charts
    from flows.charts.palette import GREEN
    from flows.dashboard import audio, comparison, components, filters, overview, quality, recordings, speakers, tables
    from flows.settings import Settings

    VIEWS = ("Overview", "Speakers", "Recording", "Quality", "Models")


@app.cell
def _():
    settings = Settings.load()
    lake = settings.open_lake()
    everything = filters.choices(lake)
    return everything, lake, settings


@app.cell
def _(everything, lake):
    mo.stop(everything is None, components.empty(lake.uri))
    _asked = str(mo.query_params().get("view", "")).title()
    view, show = mo.state(_asked if _asked in VIEWS else VIEWS[0])
    _days = (everything.first, everything.last)
    days = mo.ui.date_range(*_days, _days, label="Dates")
    sources = mo.ui.multiselect(everything.sources, everything.sources, label="Sources")
    kinds = mo.ui.multiselect(everything.kinds, everything.kinds, label="Voices")
    return days, kinds, show, sources, view


@app.cell
def _(lake, show):
    tabs = mo.ui.array([mo.ui.button(label=_name, on_change=lambda _, name=_name: show(name)) for _name in VIEWS])
    components.top(lake.uri, tabs)


@app.cell
def _(days, kinds, sources, view):
    chosen = filters.Filters(*days.value, tuple(sources.value), tuple(kinds.value))
    _narrowing = {"Overview": [sources, kinds], "Speakers": [kinds], "Models": []}.get(view(), [sources])
    components.current(VIEWS.index(view()), [days, *_narrowing])
    return (chosen,)


@app.cell
def _(chosen, lake, view):
    mo.stop(view() != "Overview")

    def _drawn():
        return components.cards(overview.cards(overview.figures(lake, chosen)))

    components.shown(_drawn)


@app.cell
def _(chosen, lake, view):
    mo.stop(view() != "Overview")

    def _drawn():
        runs = overview.runs(lake)
        timed = runs.filter(runs["rtfx"].is_not_null())
        health = components.table(("started", "status", "read", "rejected", "utterances", "RTFx"), tables.runs(runs))
        return components.column(
            components.warning(overview.ailing(runs)),
            components.grid(
                components.drawn("Emotion mix", overview.emotions(lake, chosen), panels.emotion_mix),
                components.drawn("Audio in", overview.hours(lake, chosen), panels.hours),
                components.drawn("Speed of the last runs", timed, panels.run_speed),
                components.panel("Health of the last runs", health),
            ),
        )

    components.shown(_drawn)


@app.cell
def _(chosen, lake, view):
    mo.stop(view() != "Speakers")

    def _drawn():
        most, voices = speakers.most(lake, chosen), speakers.voices(lake, chosen)
        mix = speakers.emotions(lake, chosen, most)
        note = "Who sounds alike lies near each other: centroids of the voices on their first two principal components."
        return components.column(
            components.cards(
                {"Speakers heard": (f"{speakers.n_heard(lake, chosen):,}", "different voices in these days")}
            ),
            components.grid(
                components.drawn("Who spoke most", most, panels.speech_by_speaker),
                components.drawn("Emotion by speaker", mix, panels.emotion_by_speaker),
                components.drawn("Map of the voices", voices, panels.voice_map, note, wide=True),
            ),
        )

    components.shown(_drawn)


@app.cell
def _(view):
    mo.stop(view() != "Recording")
    words = mo.ui.text(placeholder="part of its name", label="Search", debounce=300)
    return (words,)


@app.cell
def _(chosen, lake, words):
    _found = {recordings.label(row): row for row in recordings.search(lake, chosen, words.value).to_dicts()}
    choice = mo.ui.dropdown(_found, value=next(iter(_found), None), label="Recording", searchable=True, full_width=True)
    return (choice,)


@app.cell
def _(choice, words):
    _n_parts = audio.n_stretches(choice.value["seconds"]) if choice.value else 1
    _channels = [str(number) for number in (choice.value or {}).get("channels") or [0]]
    part = mo.ui.slider(1, max(2, _n_parts), label=f"Part, of {_n_parts}", show_value=True)
    channel = mo.ui.dropdown(_channels, value=_channels[0], label="Channel")
    components.bar(words, choice, *([channel] if len(_channels) > 1 else []), *([part] if _n_parts > 1 else []))
    return channel, part


@app.cell
def _(channel, choice, lake, part, settings):
    mo.stop(choice.value is None, components.warning([components.NOTHING]))

    def _drawn():
        recording = recordings.read(lake, choice.value["recording_id"], choice.value["date"])
        span = audio.stretch(recording.seconds, part.value)
        samples, own = audio.listen(recording, span, int(channel.value), settings), recording.within(span)
        wave, f0, loud = (measure(samples, span.start_s) for measure in (audio.envelope, audio.pitch, audio.loudness))
        played = components.table(
            ("", "from (s)", "to (s)", "emotion", "score", "speaker"), tables.segments(recording, own)
        )
        return components.column(
            components.panel(
                recording.name,
                components.stack(
                    {
                        "Waveform, of full scale": recording_charts.waveform(wave, span),
                        "Emotion": recording_charts.emotions(own, span),
                        "Speaker": recording_charts.speakers(own, span),
                        "Fundamental frequency": recording_charts.contour(f0, span, "f0_hz", "F0 (Hz)"),
                        "Momentary loudness": recording_charts.contour(loud, span, "loudness_lufs", "LUFS", GREEN),
                    }
                ),
            ),
            components.panel("Listen", played),
        )

    components.shown(_drawn)


@app.cell
def _(chosen, lake, view):
    mo.stop(view() != "Quality")

    def _drawn():
        daily, shares = quality.daily(lake, chosen), quality.shares(lake, chosen)
        spread = "The median of the day's recordings; four of five lie in the band."
        warned = "Distance of the day from the 28 before, in thresholds; what passes the line is warned of."
        return components.column(
            components.cards(
                {
                    "Rejected": (quality.percent(shares["rejected"]), "of the files"),
                    "Clipped": (quality.percent(shares["clipped"]), "of the samples"),
                    "Without emotion": (quality.percent(shares["abstained"]), "of the utterances"),
                }
            ),
            components.grid(
                components.drawn("Rejects by reason", quality.rejects(lake, chosen), panels.rejects_by_reason),
                components.panel(
                    "Validation", components.table(("run", "verdict", ""), tables.audits(quality.audits(lake)))
                ),
                components.drawn("Loudness", daily, lambda rows: panels.spread(rows, "loudness_lufs", "LUFS"), spread),
                components.drawn(
                    "Signal to noise", daily, lambda rows: panels.spread(rows, "snr_db", "SNR (dB)"), spread
                ),
                components.drawn("Bandwidth", daily, lambda rows: panels.spread(rows, "bandwidth_hz", "Hz"), spread),
                components.drawn("Drift", quality.drift(lake, chosen), panels.drift, warned),
            ),
        )

    components.shown(_drawn)


@app.cell
def _(lake, view):
    mo.stop(view() != "Models")
    _versions = {version.label: version for version in comparison.versions(lake)}
    mo.stop(len(_versions) < 2, components.one_model())
    _newer, _older, *_ = _versions
    left = mo.ui.dropdown(_versions, value=_older, label="This model")
    right = mo.ui.dropdown(_versions, value=_newer, label="against this one")
    components.bar(left, right)
    return left, right


@app.cell
def _(chosen, lake, left, right):
    def _drawn():
        found = comparison.compare(lake, chosen, left.value, right.value)
        names = left.value.emotion_model, right.value.emotion_model
        played = components.table(("", *names, "date"), tables.differences(found.differ))
        share = f"{found.n_same / found.n:.1%}" if found.n else "none"
        return components.column(
            components.cards(
                {
                    "Scored by both": (f"{found.n:,}", f"utterances, {found.first} to {found.last}"),
                    "Agree": (share, "of them have the same emotion"),
                }
            ),
            components.grid(
                components.drawn("Who says what", found.pairs, lambda rows: panels.confusion(rows, *names)),
                components.drawn("Listen to ten on which they differ", found.differ, lambda _: played),
            ),
        )

    components.shown(_drawn)


if __name__ == "__main__":
    app.run()
