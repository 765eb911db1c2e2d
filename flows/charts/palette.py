"""Colours with one meaning in all charts: Okabe and Ito's palette (2008), safe for colour-blind readers."""

from collections.abc import Iterable

import altair as alt

VERMILLION, BLUE, GREEN, ORANGE = "#D55E00", "#0072B2", "#009E73", "#E69F00"
PINK, SKY, YELLOW, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#999999"
PALE = "#D9DEE4"
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILLION, YELLOW, GREY)

EMOTIONS = {
    "anger": VERMILLION,
    "calm": SKY,
    "disgust": GREEN,
    "fear": PINK,
    "happiness": ORANGE,
    "neutral": GREY,
    "sadness": BLUE,
    "surprise": YELLOW,
}
"""Colours of the emotions in every chart; a model's other classes take unused colours of the palette."""

NO_ANSWER = {"too little said": PALE, "unknown": PALE}
"""Colours of utterances that have no emotion, or no speaker."""

VERDICTS = {"done": GREEN, "running": SKY, "stopped": ORANGE, "failed": VERMILLION, "dead": PINK}
KINDS = {"enrolled": BLUE, "found": ORANGE, "forgotten": GREY}


def colour_scale(values: Iterable[str | None], known: dict[str, str] = EMOTIONS) -> alt.Scale:
    """Return a scale with a colour for each value: the known one, or the next unused of the palette."""
    names = [str(value) for value in dict.fromkeys(values) if value is not None]
    names.sort(key=lambda name: [*known, name].index(name))
    unused = [colour for colour in PALETTE if colour not in {known.get(name) for name in names}] or list(PALETTE)
    others = [name for name in names if name not in known]
    colour_of = known | {name: unused[i % len(unused)] for i, name in enumerate(others)}
    return alt.Scale(domain=names, range=[colour_of[name] for name in names])
