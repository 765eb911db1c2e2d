"""Queries of the speakers view: speech by speaker, their emotions, and a map of similar voices."""

import numpy as np
import polars as pl

from data_contracts.lake import Lake
from data_contracts.schema.tables import FORGOTTEN_ID
from flows.dashboard.filters import IN_DAYS, Filters, ask

_MAX_VOICES = 500  # on the map
_KIND = f"CASE WHEN d.speaker_id = '{FORGOTTEN_ID}' THEN '{FORGOTTEN_ID}' ELSE coalesce(any_value(s.kind), 'found') END"


def top_speakers(lake: Lake, selection: Filters, limit: int = 15) -> pl.DataFrame:
    """Return speaker_id, name, kind, n_utterances, speech_min of the speakers with most speech, the most first."""
    return ask(
        lake,
        f"""SELECT d.speaker_id, coalesce(any_value(s.name), d.speaker_id) AS name,
            {_KIND} AS kind, sum(d.n_utterances)::BIGINT AS n_utterances, sum(d.speech_s) / 60 AS speech_min
            FROM speaker_daily d LEFT JOIN speakers s USING (speaker_id)
            WHERE {IN_DAYS} GROUP BY d.speaker_id HAVING list_contains($kinds, kind)
            ORDER BY speech_min DESC, name LIMIT $limit""",
        selection.values() | {"limit": limit},
    )


def n_speakers(lake: Lake, selection: Filters) -> int:
    """Return the number of different speakers in these days."""
    sql = f"""SELECT count(*) FROM (SELECT d.speaker_id FROM speaker_daily d LEFT JOIN speakers s USING (speaker_id)
        WHERE {IN_DAYS} GROUP BY d.speaker_id HAVING list_contains($kinds, {_KIND}))"""
    return int(ask(lake, sql, selection).item())


def emotions(lake: Lake, selection: Filters, speakers: pl.DataFrame) -> pl.DataFrame:
    """Return name, emotion, n_utterances of `speakers`, in their order."""
    rows = ask(
        lake,
        f"""SELECT speaker_id, emotion, sum(n_utterances)::BIGINT AS n_utterances FROM speaker_daily
            WHERE {IN_DAYS} AND list_contains($ids, speaker_id) GROUP BY ALL ORDER BY emotion""",
        selection.values() | {"ids": speakers["speaker_id"].to_list()},
    )
    rows_by_name = speakers.select("speaker_id", "name").join(
        rows, on="speaker_id", how="inner", maintain_order="left_right"
    )
    return rows_by_name.select("name", "emotion", "n_utterances")


def voice_map(lake: Lake, selection: Filters) -> pl.DataFrame:
    """Return name, kind, speech_min, x, y: speakers' centroids on their first two principal components.

    Only centroids of the most frequent encoder: those of another encoder are not comparable.
    """
    speakers = ask(
        lake,
        """SELECT name, kind, speech_s / 60 AS speech_min, centroid FROM speakers
           WHERE list_contains($kinds, kind) AND len(centroid) > 0 AND last_seen >= $first AND first_seen <= $last
           AND extractor = (SELECT mode(extractor) FROM speakers) ORDER BY speech_min DESC, name LIMIT $limit""",
        selection.values() | {"limit": _MAX_VOICES},
    )
    places = (
        principal_plane(np.array(speakers["centroid"].to_list(), np.float64)) if speakers.height else np.empty((0, 2))
    )
    return speakers.drop("centroid").with_columns(x=pl.Series(places[:, 0]), y=pl.Series(places[:, 1]))


def principal_plane(vectors: np.ndarray) -> np.ndarray:  # (n, dim) -> (n, 2)
    """Project on the first two principal components; signs are fixed, so that the map does not flip."""
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    places = np.zeros((len(vectors), 2))
    places[:, : len(axes)] = centred @ axes.T
    extremes = places[np.abs(places).argmax(axis=0), [0, 1]]
    return places * np.where(extremes < 0, -1.0, 1.0)
