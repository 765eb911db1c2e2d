"""Whom the lake remembers, as a run's encoder hears them; and whom a run adds."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.schema import tables
from data_contracts.schema.tables import SPEAKERS, UTTERANCE_KEY
from models.speaker.linking import Identities, Voiceprint
from models.speaker.reidentification import match_across_encoders

_KEY = list(UTTERANCE_KEY)
_SAME_S = 0.05  # under another encoder an utterance is the same where it begins and ends within this


def voiceprints(people: pl.DataFrame, extractor: str, anew: Mapping[str, np.ndarray] | None = None) -> list[Voiceprint]:
    """Every voice in the space of `extractor`, `anew` before the table; a merged one is its survivor's."""
    rows: dict[str, dict[str, Any]] = {row["speaker_id"]: row for row in people.iter_rows(named=True)}
    found = []
    for speaker_id, row in rows.items():
        owner = rows.get(row["merged_into"] or speaker_id)
        centroid = (anew or {}).get(speaker_id)
        if centroid is None and row["extractor"] == extractor:
            centroid = np.asarray(row["centroid"], np.float32)
        if owner is not None and centroid is not None:
            found.append(Voiceprint(owner["speaker_id"], centroid, owner["kind"] == "enrolled"))
    return found


@dataclass
class Gallery:
    """Grows from date to date. `earlier`: whom only another encoder knows, and whether by name."""

    people: pl.DataFrame  # the table
    voiceprints: list[Voiceprint]
    earlier: dict[str, bool]
    anew: dict[str, np.ndarray]  # centroids for rows of the table
    founded: dict[str, np.ndarray] = field(default_factory=dict)
    n_carried: int = 0
    heard_as_s: dict[tuple[str, str], float] = field(default_factory=dict)  # (earlier, now): seconds

    @classmethod
    def of(cls, lake: Lake, extractor: str, anew: dict[str, np.ndarray]) -> "Gallery":
        people = lake.frame("speakers", SPEAKERS).collect()
        prints = voiceprints(people, extractor, anew)
        here = {voice.speaker_id for voice in prints}
        rows = people.filter(pl.col("kind") != "merged").select("speaker_id", "kind").iter_rows()
        return cls(people, prints, {name: kind == "enrolled" for name, kind in rows if name not in here}, dict(anew))

    def published_as(self, lake: Lake, date: dt.date, heard: pl.DataFrame) -> list[str | None]:
        """Who each of a date's utterances was, where one of the `earlier` was heard in it."""
        if not self.earlier:
            return [None] * len(heard)
        before = (
            lake.frame("utterances", tables.utterances_schema(()))
            .filter(pl.col("date") == date)
            .join(pl.LazyFrame({"speaker_id": list(self.earlier)}), on="speaker_id", how="semi")
            .join(heard.lazy().select(_KEY), on=_KEY, how="semi")
            .select(*_KEY, "speaker_id", was_start_s="start_s", was_end_s="end_s")
            .collect()
        )
        times = [(pl.col(name) - pl.col(f"was_{name}")).abs() < _SAME_S for name in ("start_s", "end_s")]
        same = heard.join(before, on=_KEY, how="left", maintain_order="left")
        return same.select(pl.when(*times).then("speaker_id")).to_series().to_list()

    def learn(self, answer: Identities, before: list[str | None], seconds: np.ndarray) -> Identities:
        """Remembers who was founded, under the name of an earlier speaker where it is that one's voice."""
        answer = match_across_encoders(answer, before, seconds, self.earlier)
        self.voiceprints += answer.founded
        for voice in answer.founded:
            if voice.speaker_id in self.earlier:
                self.anew[voice.speaker_id] = voice.centroid
                self.n_carried += 1
                del self.earlier[voice.speaker_id]
            else:
                self.founded[voice.speaker_id] = voice.centroid
        for now, then, length in zip(answer.speaker_ids, before, seconds, strict=True):
            if then is not None:
                self.heard_as_s[then, now] = self.heard_as_s.get((then, now), 0.0) + float(length)
        return answer

    def table(self) -> pa.Table:
        """speaker_id and centroid of all that is new."""
        rows = [{"speaker_id": name, "centroid": row.tolist()} for name, row in {**self.anew, **self.founded}.items()]
        return pa.Table.from_pylist(rows, schema=pa.schema([SPEAKERS.field("speaker_id"), SPEAKERS.field("centroid")]))

    def left_behind(self) -> list[str]:
        """What to tell of those with a name whom this encoder does not know."""
        names = dict(self.people.select("speaker_id", "name").iter_rows())
        told, unheard = [], []
        for earlier in sorted(name for name, known in self.earlier.items() if known):
            heard = {now: length for (then, now), length in self.heard_as_s.items() if then == earlier}
            if heard:
                now = max(heard, key=lambda name: (heard[name], name))
                told.append(
                    f"{names[earlier]} is mostly heard as {now} under this encoder: if that is right, "
                    f"`undertone speakers merge {earlier} {now}` makes the two one"
                )
            else:
                unheard.append(names[earlier])
        if unheard:
            told.append(
                f"{len(unheard)} known voice(s) are in the space of another encoder and not recognised: "
                f"{', '.join(unheard[:5])}{', …' if len(unheard) > 5 else ''}; `undertone enroll` again, or a backfill "
                "over nights on which they spoke, brings them over"
            )
        return told
