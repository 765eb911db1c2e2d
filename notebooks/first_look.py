"""A first look at what a run published, with Polars and matplotlib and nothing of ours.

    .venv/bin/python notebooks/first_look.py LAKE [PICTURE.png]

Prints who spoke and how, and draws each recording as a line of utterances: colour is emotion, the label the speaker.
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import polars as pl
from matplotlib.patches import Patch

# Okabe and Ito's palette, which colour-blind people tell apart too
PALETTE = ("#D55E00", "#E69F00", "#999999", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#F0E442")


def main(lake: str, picture: str) -> None:
    utterances = pl.read_delta(f"{lake}/analytics/utterances")
    recordings = pl.read_delta(f"{lake}/analytics/recordings").filter(pl.col("status") == "ok")
    speakers = pl.read_delta(f"{lake}/analytics/speakers").select("speaker_id", "name")
    names = recordings.group_by("recording_id").agg(pl.col("uri").min(), pl.col("seconds").first())
    rows = (
        utterances.join(names, on="recording_id")
        .join(speakers, on="speaker_id")
        .with_columns(
            file=pl.col("uri").str.extract(r"([^/]+)$"), emotion=pl.col("emotion").fill_null("too little said")
        )
        .sort("date", "file", "start_s")
    )
    print(
        rows.group_by("name")
        .agg(
            utterances=pl.len(),
            speech_s=(pl.col("end_s") - pl.col("start_s")).sum().round(1),
            mostly=pl.col("emotion").mode().sort().first(),
        )
        .sort("utterances", "name", descending=[True, False])
    )
    draw(rows, picture)
    print(f"drawn: {picture}")


def draw(rows: pl.DataFrame, picture: str) -> None:
    """One line a recording, at most sixteen; time in seconds to the right."""
    emotions = rows["emotion"].unique().sort().to_list()
    colour = dict(zip(emotions, PALETTE, strict=False))
    files = rows.select("date", "file").unique(maintain_order=True).head(16)
    figure, axes = plt.subplots(figsize=(9, 0.3 * len(files) + 1.6), layout="constrained")
    for line, (date, file) in enumerate(files.iter_rows()):
        own = rows.filter(pl.col("date") == date, pl.col("file") == file)
        axes.barh(line, own["seconds"][0], height=0.72, color="#ECECEC", zorder=1)
        for start, end, emotion, name in own.select("start_s", "end_s", "emotion", "name").iter_rows():
            axes.barh(line, end - start, left=start, height=0.72, color=colour[emotion], zorder=2)
            place = {"ha": "center", "va": "center", "fontsize": 6.5, "zorder": 3}
            axes.text((start + end) / 2, line, name, color=ink(colour[emotion]), **place)
    axes.set_yticks(range(len(files)), [f"{date:%d %b}  {file}" for date, file in files.iter_rows()], fontsize=7)
    axes.set_ylim(len(files) - 0.4, -0.6)
    axes.set_xlabel("time in the recording (s)")
    axes.set_title("Who spoke, and with what emotion", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    patches = [Patch(color=colour[emotion], label=emotion) for emotion in emotions]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=8)
    figure.savefig(picture, dpi=130)
    plt.close(figure)


def ink(colour: str) -> str:
    """Black or white, whichever stands out."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else "white"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else str(Path("first_look.png")))
