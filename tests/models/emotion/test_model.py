"""The emotion model: scores, outliers, storage and the pyfunc."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers.paths import WEIGHTS

from data_contracts.errors import ModelError
from models.data.licences import is_restrictive
from models.emotion.dataset import all_names, current_fingerprints
from models.emotion.model import CLASSES, EmotionModel, Member, compress, standardise
from models.emotion.pyfunc import _load_pyfunc
from models.emotion.speaker_adaptation import Prior

NAMES = ("pitch", "level", "pace")
AVERAGE = torch.tensor([100.0, -20.0, 4.0])


@pytest.fixture
def model() -> EmotionModel:
    torch.manual_seed(0)
    return EmotionModel(
        [Member(3, 4, hidden=5), Member(3, 4, hidden=0)],
        linear=Member(3, 4, hidden=0),
        mean=compress(AVERAGE),
        scale=torch.tensor([0.3, 0.3, 0.2]),
        prior=Prior(torch.full((3,), 0.5), torch.ones(3), torch.full((3,), 2.0), torch.randn(4, 3)),
        feature_names=NAMES,
        features={"egemaps": "abc"},
        temperature=1.7,
        adapted_temperature=0.9,
        recordings=["b", "a"],
    )


def _features(n: int = 5) -> torch.Tensor:
    return AVERAGE + torch.randn(n, 3, generator=torch.Generator().manual_seed(1)) * 20


@pytest.mark.parametrize("speakers", [None, ["a", "b", "a", "b", "c"]])
def test_scores_sum_to_one(model: EmotionModel, speakers: list[str] | None) -> None:
    scores = model.scores(_features(), speakers)
    assert scores.shape == (5, 4)
    assert bool((scores >= 0).all())
    torch.testing.assert_close(scores.sum(1), torch.ones(5, dtype=torch.float64), atol=1e-12, rtol=0)


def test_an_utterance_by_itself_does_not_hang_on_its_neighbours(model: EmotionModel) -> None:
    features = _features(3)
    alone = torch.cat([model.scores(row[None]) for row in features])
    torch.testing.assert_close(model.scores(features), alone, atol=1e-6, rtol=0)


def test_whose_voice_it_is_changes_the_scores_and_the_order_of_the_rows_does_not(model: EmotionModel) -> None:
    features, speakers = _features(6), ["a", "b", "a", "b", "a", "b"]
    adapted = model.scores(features, speakers)
    assert not torch.allclose(adapted, model.scores(features), atol=1e-3)
    order = [3, 0, 5, 1, 4, 2]
    again = model.scores(features[order], [speakers[index] for index in order])
    torch.testing.assert_close(again, adapted[order], atol=1e-6, rtol=0)


def test_no_rows_give_no_scores(model: EmotionModel) -> None:
    assert model.scores(torch.zeros(0, 3)).shape == (0, 4)
    assert model.scores(torch.zeros(0, 3), []).shape == (0, 4)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_counts_as_average(model: EmotionModel, broken: float) -> None:
    average = model.scores(torch.tensor([[100.0, -14.0, 4.0]]))
    torch.testing.assert_close(model.scores(torch.tensor([[broken, -14.0, 4.0]])), average)


def test_one_wild_value_leaves_the_others_apart() -> None:
    """A coefficient of variation of a thousand, once in a corpus, took the whole scale for itself."""
    usual = torch.linspace(-2, 2, 200)[:, None]
    values = torch.cat([usual, torch.full((1, 1), 1e6)])
    placed = standardise(values, compress(values).mean(0), compress(values).std(0))
    assert bool((placed.diff(dim=0) >= 0).all()), "the order stays"
    assert float(placed.max()) == 10
    assert float(placed[:-1].std()) > 0.3


@pytest.mark.parametrize("adapted", [True, False])
def test_temperature_softens_and_keeps_the_order(model: EmotionModel, adapted: bool) -> None:
    standardised = model.standardise(_features())
    before = model.probabilities(standardised, adapted=adapted)
    model.temperature = model.adapted_temperature = 4.0
    after = model.probabilities(standardised, adapted=adapted)
    assert bool((after.amax(1) < before.amax(1)).all())
    assert torch.equal(after.argmax(1), before.argmax(1))


def test_save_and_load_round_trip(model: EmotionModel, tmp_path: Path) -> None:
    model.save(tmp_path / "one")
    first = EmotionModel.load(tmp_path / "one")
    first.save(tmp_path / "two")
    again = EmotionModel.load(tmp_path / "two")
    speakers = ["a", "a", "b", "b", "b"]
    assert torch.equal(again.scores(_features(), speakers), first.scores(_features(), speakers))
    torch.testing.assert_close(first.scores(_features()), model.scores(_features()), atol=2e-3, rtol=0)  # as float16
    assert (again.classes, again.feature_names, again.features) == (CLASSES, NAMES, {"egemaps": "abc"})
    assert (again.temperature, again.adapted_temperature) == (1.7, 0.9)
    assert again.trained_on == {"a", "b"}


def test_wrong_features_say_what_was_expected(model: EmotionModel) -> None:
    with pytest.raises(ModelError, match=r"expected features \(n, 3\), found \(2, 4\)"):
        model.scores(torch.zeros(2, 4))


def test_missing_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected an emotion model .*models train emotion"):
        EmotionModel.load(tmp_path)


def test_pyfunc_takes_columns_by_name_and_speakers_where_there_are_any(model: EmotionModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    served, saved = _load_pyfunc(str(tmp_path)), EmotionModel.load(tmp_path)
    frame = pd.DataFrame(_features().numpy(), columns=list(NAMES), index=[7, 3, 5, 1, 2])
    shuffled = frame[["pace", "pitch", "level"]].assign(other=1.0)
    scores = served.predict(shuffled)
    assert list(scores.columns) == list(CLASSES)
    assert list(scores.index) == [7, 3, 5, 1, 2]
    assert scores.to_numpy() == pytest.approx(saved.scores(_features()).numpy())
    speakers = ["a", "b", "a", "b", "a"]
    adapted = served.predict(shuffled.assign(speaker_id=speakers))
    assert adapted.to_numpy() == pytest.approx(saved.scores(_features(), speakers).numpy())
    one_unknown = served.predict(shuffled.assign(speaker_id=[None, *speakers[1:]]))
    assert one_unknown.to_numpy() == pytest.approx(scores.to_numpy())


def test_pyfunc_names_missing_columns(model: EmotionModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    with pytest.raises(ModelError, match=r"found no pitch, pace \(2 missing\)"):
        _load_pyfunc(str(tmp_path)).predict(pd.DataFrame({"level": [0.0]}))


@pytest.mark.parametrize(("name", "is_free"), [("emotion", True), ("emotion_research", False)])
def test_shipped_models_fit_the_features_of_this_version(name: str, is_free: bool) -> None:
    folder = WEIGHTS / name
    model = EmotionModel.load(folder)
    assert model.feature_names == all_names()
    assert model.features == current_fingerprints(), "the features have changed: train it again"
    assert len(model.trained_on) == model.training["n_clips"]
    assert (folder / "weights.safetensors").stat().st_size < 1_000_000
    licences = {licence for corpus in model.training["licences"].values() for licence in corpus}
    assert is_free == (not any(map(is_restrictive, licences)))
    assert is_free != ("**Licence: CC BY-NC-SA 4.0" in (folder / "README.md").read_text())
