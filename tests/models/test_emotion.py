from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from data_contracts.errors import ModelError
from features.gemaps import EGEMAPS_NAMES, EgemapsConfig
from models.emotion import CLASSES, EmotionModel, Member, _load_pyfunc, compressed, standardise

NAMES = ("pitch", "level", "pace")
AVERAGE = torch.tensor([100.0, -20.0, 4.0])


@pytest.fixture
def model() -> EmotionModel:
    torch.manual_seed(0)
    return EmotionModel(
        [Member(3, 4, hidden=5), Member(3, 4, hidden=5)],
        mean=compressed(AVERAGE),
        scale=torch.tensor([0.3, 0.3, 0.2]),
        feature_names=NAMES,
        egemaps="abc",
        temperature=1.7,
        recordings=["b", "a"],
    )


def _features(n: int = 5) -> torch.Tensor:
    return AVERAGE + torch.randn(n, 3, generator=torch.Generator().manual_seed(1)) * 20


def test_scores_sum_to_one(model: EmotionModel) -> None:
    scores = model.scores(_features())
    assert scores.shape == (5, 4)
    assert bool((scores >= 0).all())
    torch.testing.assert_close(scores.sum(1), torch.ones(5, dtype=torch.float64), atol=1e-12, rtol=0)


def test_batch_matches_single(model: EmotionModel) -> None:
    features = _features(3)
    alone = torch.cat([model.scores(row[None]) for row in features])
    torch.testing.assert_close(model.scores(features), alone, atol=1e-6, rtol=0)


def test_no_rows_give_no_scores(model: EmotionModel) -> None:
    assert model.scores(torch.zeros(0, 3)).shape == (0, 4)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_counts_as_average(model: EmotionModel, broken: float) -> None:
    average = model.scores(torch.tensor([[100.0, -14.0, 4.0]]))
    torch.testing.assert_close(model.scores(torch.tensor([[broken, -14.0, 4.0]])), average)


def test_one_wild_value_leaves_the_others_apart() -> None:
    """A coefficient of variation of a thousand, once in a corpus, took the whole scale for itself."""
    usual = torch.linspace(-2, 2, 200)[:, None]
    values = torch.cat([usual, torch.full((1, 1), 1e3)])
    placed = standardise(values, compressed(values).mean(0), compressed(values).std(0))
    assert bool((placed.diff(dim=0) >= 0).all()), "the order stays"
    assert float(placed.max()) == 4
    assert float(placed[:-1].std()) > 0.5


def test_temperature_softens_and_keeps_the_order(model: EmotionModel) -> None:
    before = model.scores(_features())
    model.temperature = 4.0
    after = model.scores(_features())
    assert bool((after.amax(1) < before.amax(1)).all())
    assert torch.equal(after.argmax(1), before.argmax(1))


def test_save_and_load_round_trip(model: EmotionModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = EmotionModel.load(tmp_path)
    assert torch.equal(again.scores(_features()), model.scores(_features()))
    assert (again.classes, again.feature_names, again.egemaps) == (CLASSES, NAMES, "abc")
    assert again.trained_on == {"a", "b"}


def test_wrong_features_say_what_was_expected(model: EmotionModel) -> None:
    with pytest.raises(ModelError, match=r"expected features \(n, 3\), found \(2, 4\)"):
        model.scores(torch.zeros(2, 4))


def test_missing_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected an emotion model .*models train emotion"):
        EmotionModel.load(tmp_path)


def test_pyfunc_takes_columns_by_name(model: EmotionModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    served = _load_pyfunc(str(tmp_path))
    frame = pd.DataFrame(_features().numpy(), columns=list(NAMES), index=[7, 3, 5, 1, 2])
    shuffled = frame[["pace", "pitch", "level"]].assign(other=np.float32(1))
    scores = served.predict(shuffled)
    assert list(scores.columns) == list(CLASSES)
    assert list(scores.index) == [7, 3, 5, 1, 2]
    assert (scores.dtypes == np.float64).all()
    np.testing.assert_allclose(scores.to_numpy(), model.scores(_features()).numpy())


def test_pyfunc_names_missing_columns(model: EmotionModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    with pytest.raises(ModelError, match=r"found no pitch, pace \(2 missing\)"):
        _load_pyfunc(str(tmp_path)).predict(pd.DataFrame({"level": np.zeros(1, np.float32)}))


def test_shipped_model_fits_the_features_of_this_version() -> None:
    folder = Path(__file__).parents[2] / "models" / "weights" / "emotion"
    model = EmotionModel.load(folder)
    assert model.feature_names == EGEMAPS_NAMES
    assert model.egemaps == EgemapsConfig().fingerprint(), "the features have changed: train it again"
    assert len(model.trained_on) == model.training["n_clips"]
    assert "CC BY-NC-SA 4.0" in (folder / "README.md").read_text()
