"""Provenance of a trained model: its data and code version, for the card and the registry."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.data import training_set
from models.data.labelled_speech import manifest_digest_from_ids
from models.data.labels_file import Clip, read_labels
from models.data.speaker_overlap import recording_ids


def record(folder: Path, corpora: Sequence[Path]) -> None:
    """Add the training data of a model just trained on `corpora`, and the code's version, to `config.json`.

    The block `training` gets `data` (clips, speakers and licences by corpus) and, where the trainer did not write them,
    `manifest` and `code_version`. The hashes of the speakers' labels are written beside it.
    """
    clips = read_labels(corpora)
    seen = training_set.read(folder)
    used: dict[str, Clip] = {}
    for clip, recording in zip(clips, recording_ids(clips), strict=True):
        if recording in seen:
            used.setdefault(recording, clip)  # the same content under another name counts once
    path = folder / "config.json"
    config = json.loads(path.read_text())
    defaults = {"manifest": manifest_digest_from_ids(used.values(), used), "code_version": version("undertone")}
    config["training"] = defaults | (config.get("training") or {}) | {"data": _by_corpus(list(used.values()))}
    path.write_text(json.dumps(config, indent=2) + "\n")
    training_set.write_speakers(folder, (clip.speaker for clip in used.values() if clip.speaker))


def _by_corpus(clips: Sequence[Clip]) -> dict[str, dict[str, Any]]:
    corpora: dict[str, list[Clip]] = {}
    for clip in clips:
        corpora.setdefault(clip.corpus, []).append(clip)
    return {
        name: {
            "clips": len(items),
            "speakers": len({clip.speaker for clip in items if clip.speaker}),
            "licences": sorted({clip.licence for clip in items}),
        }
        for name, items in sorted(corpora.items())
    }
