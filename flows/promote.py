"""Promotion and rollback of a champion: evaluated first, recorded always."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.errors import ModelError, UsageError
from data_contracts.records import ModelRef
from flows.settings import Settings
from models.promotion import PromotionVerdict, judge_challenger
from models.registry import history, loading
from models.registry.compatibility import check_features
from models.registry.mlflow_registry import CHAMPION, PREVIOUS, Registry


@dataclass(frozen=True)
class Outcome:
    """Result of a request to promote `ref`; `before` was the champion until then."""

    ref: ModelRef
    before: ModelRef | None
    verdict: PromotionVerdict
    promoted: bool
    forced: bool = False

    def record(self) -> dict[str, Any]:
        """Return the outcome for JSON."""
        return {
            "model": self.ref.name,
            "version": self.ref.version,
            "label": self.ref.label,
            "promoted": self.promoted,
            "forced": self.forced,
            "replaced": self.before.label if self.before else None,
            "evaluation": self.verdict.record(),
        }


def promote(
    settings: Settings,
    name: str,
    version: str,
    *,
    corpus: str = "",
    unheard: bool = False,
    force: bool = False,
    reason: str = "",
) -> Outcome:
    """Make a version the champion where the verdict on the evaluation corpus allows it, or `force` does.

    Raises UsageError without an evaluation corpus, ModelError for a version that no run could use: neither is forced.
    """
    models = settings.open_registry(settings.open_lake())
    if not models.versions(name):
        models.champion(name)
    ref, before = models.version(name, version), _champion(models, name)
    if before is not None and before.version == ref.version:
        return Outcome(ref, before, PromotionVerdict(True, f"{ref.label} is @champion already"), promoted=False)
    evaluation_corpus = corpus or settings.evaluation_corpus
    if not evaluation_corpus and not force:
        raise UsageError(
            f"expected an evaluation corpus to compare {ref.label} with the champion; found no evaluation corpus; give "
            "--corpus DIR or set UNDERTONE_EVALUATION_CORPUS (speech with labels.csv that no model was trained on), "
            "or --force"
        )
    loading.load(ref)
    verdict = PromotionVerdict(False, "nothing was evaluated: no evaluation corpus was given")
    if evaluation_corpus:
        verdict = judge_challenger(
            ref, before, Path(evaluation_corpus), voices=models.champion("speaker"), unheard=unheard or force
        )
    if verdict.accepted or force:
        models.promote(name, ref.version)
        evaluation = {"accepted": verdict.accepted, **verdict.record()}
        now = dt.datetime.now(dt.UTC)
        history.record_promotion(models, ref, before, evaluation, forced=force, reason=reason, now=now)
    return Outcome(ref, before, verdict, promoted=verdict.accepted or force, forced=force)


def rollback(settings: Settings, name: str, *, reason: str = "") -> tuple[ModelRef, ModelRef]:
    """Swap the champion and `@previous`. Return the new champion and the former one.

    Raises ModelError without a previous version, or where it was trained on other features than today's.
    """
    models = settings.open_registry(settings.open_lake())
    former = _champion(models, name)
    if former is None:
        raise ModelError(f"{name} has no @champion to go back from; run `undertone models promote {name} N`")
    try:
        check_features(models.version(name, PREVIOUS))
    except ModelError as error:
        raise ModelError(f"{name} has no version to go back to: {error}") from error
    restored = models.rollback(name)
    history.record_rollback(models, restored, former, reason=reason, now=dt.datetime.now(dt.UTC))
    return restored, former


def _champion(models: Registry, name: str) -> ModelRef | None:
    """Return the champion; None where there is none, or its artifacts are gone."""
    try:
        return models.version(name, CHAMPION)
    except ModelError:
        return None
