"""Names of the models' metrics, and their format for people and for MLflow."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

FIGURES: dict[str, dict[str, str]] = {
    "emotion": {
        "uar_adaptive": "UAR, adapted to the speaker",
        "uar": "UAR",
        "uar_oracle": "UAR, speakers known",
        "accuracy": "accuracy",
        "ece": "calibration error",
    },
    "speaker": {
        "eer": "EER",
        "min_dcf": "min DCF",
        "top1": "top-1",
        "false_accepts": "accepted",
        "false_rejects": "rejected",
    },
}
"""Headings of the metrics, by model."""

_NOT_IN_MLFLOW = re.compile(r"[^\w\-. :/]", re.ASCII)


def format_figure(section: Mapping[str, Any], key: str) -> str:
    """Return a metric with its interval, for people; empty where there is none.

    >>> format_figure({"uar": 0.7, "uar_interval": [0.6, 0.8]}, "uar")
    '0.700 [0.600, 0.800]'
    """
    value, interval = section.get(key), section.get(f"{key}_interval")
    if value is None:
        return ""
    known = interval is not None and all(math.isfinite(end) for end in interval)
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if known and interval else "")


def sections(name: str, figures: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the metrics over everything, then those of each part: by corpus, by length, …"""
    if any(key in figures for key in FIGURES[name]):
        yield "all", figures
    for by, parts in figures.items():
        if not isinstance(parts, Mapping):
            continue
        if any(key in parts for key in FIGURES[name]):
            yield by, parts
        for part, section in parts.items():
            if isinstance(section, Mapping) and any(key in section for key in FIGURES[name]):
                yield (part if by == "by_corpus" else f"{by.replace('_', ' ')}: {part}"), section


def flatten(values: Any, name: str = "") -> dict[str, Any]:
    """Return nested values under one name each, as MLflow spells names; an item of a list is named by its index.

    >>> flatten({"uar": 0.5, "by_corpus": {"lab & street": {"n": 3}}, "uar_interval": [0.4, 0.6]})
    {'uar': 0.5, 'by_corpus/lab _ street/n': 3, 'uar_interval/0': 0.4, 'uar_interval/1': 0.6}
    """
    if isinstance(values, Mapping | list | tuple):
        items = values.items() if isinstance(values, Mapping) else enumerate(values)
        return {
            key: value for inner, item in items for key, value in flatten(item, f"{name}/{inner}".lstrip("/")).items()
        }
    return {_NOT_IN_MLFLOW.sub("_", name): values}


def finite_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers among the flattened values."""
    found = {key: value for key, value in flatten(values).items() if isinstance(value, int | float)}
    return {key: float(value) for key, value in found.items() if math.isfinite(value)}
