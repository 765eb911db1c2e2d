"""Model card of a trained model: `README.md` in its folder, from its configuration and metrics.

Summary, data and licences, protocol, metrics with 95% intervals, use and limits, provenance.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from models.metrics.names import FIGURES, format_figure, sections
from models.registry.compatibility import expected_fingerprints
from models.registry.licences import combined_licence

ModelName = Literal["emotion", "speaker"]
_SUMMARIES = {
    "emotion": "From the stored features of an utterance to a probability for each of {classes}, when all are as "
    "likely before.",
    "speaker": "From an utterance at 16 kHz to a vector of {dim} numbers of unit length; the cosine of two says how "
    "alike the voices are. Above {threshold:.3f} two voices count as the same.",
}
_METRIC_NOTES = {
    "emotion": "UAR is the mean recall of the classes that occur; chance is {chance:.2f}. ",
    "speaker": "EER: equal error rate. Accepted, rejected: other voices taken for the same and same voices taken for "
    "others, at the threshold. ",
}
_LIMITS = {
    "emotion": """\
For trends over many utterances of speech like that of the training. Not for decisions about a person: acted emotions
are louder and clearer than those of daily life, and somebody's resting voice can look like a mood.

- A corpus unlike the training's (language, room, channel, way of acting) is where it fails first, and its
  probabilities are then not to be believed. Label some of your own and look: `undertone models evaluate emotion`.
- What is none of its classes lands in one of them all the same.
- How it does by age, gender, accent or health is known only as far as the data above tells.""",
    "speaker": """\
For grouping the utterances of a corpus by voice and for finding enrolled voices again in recordings like each other.
**Not for authentication, and not evidence that somebody spoke.**

- Short utterances, and channels unlike the training's, are where it fails first: one person becomes several. Label
  some of your own and look: `undertone models evaluate speaker`.
- How a voice holds over days and devices is known only as far as the data above holds such pairs.
- How it does by age, gender, accent, health or among relatives is known only as far as the data above tells.""",
}


def write_card(folder: Path, *, name: ModelName, metrics: Mapping[str, Any]) -> None:
    """Write `README.md` beside `config.json`, with `metrics` of `models.metrics.classification` or an evaluation.

    Missing facts are left out, or called unknown.
    """
    config = json.loads((folder / "config.json").read_text())
    training = config.get("training") or {}
    licence = combined_licence(training_licences(training))
    figures = metrics or training.get("out_of_fold") or training.get("held_out") or {}
    parts = [
        f"# {name.capitalize()}, trained with `undertone models train {name}`",
        f"**What.** {_summary(name, config, folder)}",
        *_data_section(training),
        f"**Licence: {licence}.** The weights' licence follows that of their data.",
        "## Measured",
        *_results_section(name, config, training, figures),
        "## Use, and limits",
        _LIMITS[name],
        "## Made with",
        _origin_table(config, training),
    ]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def training_licences(training: Mapping[str, Any]) -> list[str]:
    """Return the licences of the training's data, an empty one for a corpus without; none where there is no list."""
    by_corpus = {name: item.get("licences") for name, item in (training.get("data") or {}).items()}
    by_corpus = by_corpus or dict(training.get("licences") or {})
    return [
        licence for items in by_corpus.values() for licence in ([items] if isinstance(items, str) else items or [""])
    ]


def _summary(name: ModelName, config: Mapping[str, Any], folder: Path) -> str:
    facts = {"classes": ", ".join(config.get("classes", ["?"])), "dim": config.get("dim", "?")}
    n_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return (
        _SUMMARIES[name].format(**facts, threshold=config.get("threshold", float("nan"))) + f" {n_bytes / 1e6:.1f} MB."
    )


def _data_section(training: Mapping[str, Any]) -> Iterator[str]:
    corpora, licensed = training.get("corpora") or {}, training.get("licences") or {}
    n_clips_of = corpora if isinstance(corpora, dict) else dict.fromkeys(corpora)
    rows: Mapping[str, Any] = training.get("data") or {
        name: {"clips": n, "licences": licensed.get(name)} for name, n in n_clips_of.items()
    }
    n_clips, n_speakers = (
        training.get("n_clips", "an unknown number of"),
        training.get("n_speakers", "an unknown number of"),
    )
    yield f"**Trained on** {n_clips} clips, {n_speakers} speakers. `trained_on.txt` lists the recordings by hash."
    if rows:
        cells = [
            (name, item.get("clips"), item.get("speakers"), _join_licences(item.get("licences")))
            for name, item in rows.items()
        ]
        yield _table(("corpus", "clips", "speakers", "licence"), cells)


def _results_section(
    name: ModelName, config: Mapping[str, Any], training: Mapping[str, Any], figures: Mapping[str, Any]
) -> Iterator[str]:
    protocol = "speakers that the judged model had not heard: " + (
        "the recipe, trained on the others in turn"
        if "out_of_fold" in training
        else "they were held out of the training"
    )
    yield f"Protocol: {figures.get('protocol') or protocol}."
    parts = dict(sections(name, figures))
    columns = [key for key in FIGURES[name] if any(key in section for section in parts.values())]
    if not columns:
        yield "Nothing was measured."
        return
    head = ("of", *(FIGURES[name][key] for key in columns), "clips or trials", "speakers")
    rows = [
        (
            label,
            *(format_figure(section, key) for key in columns),
            section.get("n", section.get("n_trials")),
            section.get("n_speakers"),
        )
        for label, section in parts.items()
    ]
    chance = 1 / max(1, len(config.get("classes", [0])))
    yield (
        _METRIC_NOTES[name].format(chance=chance)
        + "In brackets: the 95% interval over speakers, where it was computed."
    )
    yield _table(head, rows)
    if figures.get("per_class"):
        yield "Recall: " + ", ".join(f"{label} {value:.2f}" for label, value in figures["per_class"].items()) + "."
    if figures.get("confusion"):
        guesses = list(next(iter(figures["confusion"].values())))
        rows = [(label, *(row.get(guess) for guess in guesses)) for label, row in figures["confusion"].items()]
        yield "Confusion, a row a true class, a column a guess:"
        yield _table(("", *guesses), rows)


def _origin_table(config: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    features = ", ".join(f"{name} `{value}`" for name, value in expected_fingerprints(config).items())
    rows = [
        ("Undertone", training.get("code_version", version("undertone"))),
        ("features", features or f"encoder `{config.get('extractor_digest', 'unknown')}`"),
        ("manifest of the data", training.get("manifest", "unknown")),
        ("seed", training.get("seed", "unknown")),
        *((f"recipe: {key}", value) for key, value in (training.get("recipe") or {}).items()),
    ]
    return _table(("what", "which"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return "" if value is None else " ".join(str(value).replace("|", "\\|").split())


def _join_licences(licences: Any) -> str:
    items = [licences] if isinstance(licences, str) else licences or []
    return ", ".join(item or "not said" for item in items) or "not said"
