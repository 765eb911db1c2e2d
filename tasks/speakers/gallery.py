"""The speaker gallery: known voiceprints in the space of the current encoder, and those that a run founds."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from data_contracts.lake import Lake
from data_contracts.schema import tables
from data_contracts.schema.tables import SPEAKERS, UTTERANCE_KEY
from models.speaker.linking import Identities, Voiceprint
from models.speaker.log_odds import MAX_S
from models.speaker.reidentification import match_across_encoders

_CHANNEL = list(UTTERANCE_KEY[:2])
_MAX_NAMED = 5


def voiceprints(
    speakers: pl.DataFrame, extractor: str, reencoded: Mapping[str, Voiceprint] | None = None
) -> list[Voiceprint]:
    """Return the voices of the table that are in the space of `extractor`, a merged voice under its survivor's id.

    `reencoded` holds voiceprints by speaker_id that are used before the table's.
    """
    rows: dict[str, dict[str, Any]] = {row["speaker_id"]: row for row in speakers.iter_rows(named=True)}
    found = []
    for speaker_id, row in rows.items():
        owner = rows.get(row["merged_into"] or speaker_id)
        voice = (reencoded or {}).get(speaker_id)
        if voice is None and row["extractor"] == extractor:
            seconds = MAX_S if row["centroid_s"] is None else row["centroid_s"]
            voice = Voiceprint(speaker_id, np.asarray(row["centroid"], np.float32), known=False, speech_s=seconds)
        if owner is not None and voice is not None:
            found.append(replace(voice, speaker_id=owner["speaker_id"], known=owner["kind"] == "enrolled"))
    return found


@dataclass
class Gallery:
    """Speakers that utterances are compared with; grows from date to date.

    `previous_space` holds the speakers whose centroid only another encoder made, and whether they are enrolled.
    """

    speakers: pl.DataFrame  # the published table
    voiceprints: list[Voiceprint]
    previous_space: dict[str, bool]
    reencoded: dict[str, Voiceprint]  # for rows of the table
    founded: dict[str, Voiceprint] = field(default_factory=dict)
    n_reidentified: int = 0
    matched_s: dict[tuple[str, str], float] = field(default_factory=dict)  # seconds by (previous id, id)

    @classmethod
    def from_lake(cls, lake: Lake, extractor: str, reencoded: dict[str, Voiceprint]) -> "Gallery":
        speakers = lake.frame("speakers", SPEAKERS).collect()
        prints = voiceprints(speakers, extractor, reencoded)
        current = {voice.speaker_id for voice in prints}
        rows = speakers.filter(pl.col("kind") != "merged").select("speaker_id", "kind").iter_rows()
        previous = {name: kind == "enrolled" for name, kind in rows if name not in current}
        return cls(speakers, prints, previous, dict(reencoded))

    def previous_ids(self, lake: Lake, date: dt.date, utterances: pl.DataFrame) -> list[str | None]:
        """Return who was published, of `previous_space`, at the middle of each of a date's utterances.

        Another encoder hears other changes of speaker, so that utterances have other numbers and other ends.
        """
        if not self.previous_space:
            return [None] * len(utterances)
        published = (
            lake.frame("utterances", tables.utterances_schema(()))
            .filter(pl.col("date") == date)
            .join(pl.LazyFrame({"speaker_id": list(self.previous_space)}), on="speaker_id", how="semi")
            .join(utterances.lazy().select(_CHANNEL), on=_CHANNEL, how="semi")
            .select(*_CHANNEL, "speaker_id", "start_s", published_end_s="end_s")
            .collect()
        )
        middles = utterances.select(*_CHANNEL, middle_s=(pl.col("start_s") + pl.col("end_s")) / 2).with_row_index()
        joined = middles.sort("middle_s").join_asof(
            published.sort("start_s"),
            left_on="middle_s",
            right_on="start_s",
            by=_CHANNEL,
            check_sortedness=False,  # both are
        )
        then = pl.when(pl.col("middle_s") < pl.col("published_end_s")).then("speaker_id")
        return joined.sort("index").select(then).to_series().to_list()

    def add(self, identities: Identities, previous_ids: list[str | None], seconds: np.ndarray) -> Identities:
        """Add the founded speakers, under their previous id where they are in `previous_space`. Returns the new ids."""
        identities = match_across_encoders(identities, previous_ids, seconds, self.previous_space)
        self.voiceprints += identities.founded
        for voice in identities.founded:
            if voice.speaker_id in self.previous_space:
                self.reencoded[voice.speaker_id] = voice
                self.n_reidentified += 1
                del self.previous_space[voice.speaker_id]
            else:
                self.founded[voice.speaker_id] = voice
        for speaker_id, previous_id, length in zip(identities.speaker_ids, previous_ids, seconds, strict=True):
            if previous_id is not None and speaker_id is not None:
                pair = previous_id, speaker_id
                self.matched_s[pair] = self.matched_s.get(pair, 0.0) + float(length)
        return identities

    def new_voices(self) -> list[Voiceprint]:
        """Return the voiceprints of the speakers that are re-encoded or founded."""
        return [*self.reencoded.values(), *self.founded.values()]

    def unmatched(self) -> list[str]:
        """Return notes about the enrolled speakers that this encoder does not recognise."""
        names = dict(self.speakers.select("speaker_id", "name").iter_rows())
        notes, unheard = [], []
        for previous_id in sorted(name for name, is_enrolled in self.previous_space.items() if is_enrolled):
            seconds = {now: length for (previous, now), length in self.matched_s.items() if previous == previous_id}
            if seconds:
                closest = max(seconds, key=lambda name: (seconds[name], name))
                notes.append(
                    f"{names[previous_id]} is mostly heard as {closest} under this encoder: if that is right, "
                    f"`undertone speakers merge {previous_id} {closest}` makes the two one"
                )
            else:
                unheard.append(names[previous_id])
        if unheard:
            more = ", …" if len(unheard) > _MAX_NAMED else ""
            notes.append(
                f"{len(unheard)} known voice(s) are in the space of another encoder and not recognised: "
                f"{', '.join(unheard[:_MAX_NAMED])}{more}; `undertone enroll` again, or a backfill "
                "over nights on which they spoke, brings them over"
            )
        return notes
