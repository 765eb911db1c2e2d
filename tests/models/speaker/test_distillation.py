"""A student of teachers: what they say, the targets, the loss, and a training that learns from unlabelled clips too."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.sound import padded_noise

from data_contracts.errors import ModelError, UsageError
from models.data.labelled_speech import Speech
from models.speaker import training
from models.speaker.distillation import distance, fit_student
from models.speaker.dvector import DVector
from models.speaker.encoder import EncoderConfig
from models.speaker.recipe import StudentRecipe
from models.speaker.targets import group_voices, make_targets
from models.speaker.teachers import Teachers
from models.wespeaker.network import ResNet, ResNetShape

TINY = EncoderConfig(
    dim=8, channels=16, merged_channels=24, attention_channels=8, window_s=0.5, frames_joined=2, scale=4
)
FAST = StudentRecipe(
    steps=30, batch=12, speeds=(1.0, 1.2), coded=0.0, shortest_s=0.15, short_s=0.2, warm_up=3, average=0.5
)


@pytest.fixture(scope="module")
def teachers() -> Teachers:
    torch.manual_seed(0)
    wespeaker = ResNet(ResNetShape(blocks=(1, 1), channels=4, dim=256)).eval().requires_grad_(False)
    return Teachers(wespeaker, DVector().eval().requires_grad_(False))


def test_dvector_reads_a_wheel_a_file_and_says_what_is_missing(tmp_path: Path) -> None:
    torch.manual_seed(1)
    made = DVector()
    with pytest.raises(UsageError, match=r"expected Resemblyzer's wheel .*pip download"):
        DVector.load(tmp_path)
    torch.save({"model_state": made.state_dict() | {"similarity_weight": torch.zeros(1)}}, tmp_path / "weights")
    with zipfile.ZipFile(tmp_path / "Resemblyzer-0.1.4-py3-none-any.whl", "w") as wheel:
        wheel.write(tmp_path / "weights", "resemblyzer/pretrained.pt")
    of_wheel = DVector.load(tmp_path)
    (tmp_path / "weights").rename(tmp_path / "pretrained.pt")
    of_file = DVector.load(tmp_path)
    noise = [row.numpy() for row in padded_noise(30_000, 30_000)[0]]
    assert np.array_equal(of_wheel.embed(noise), of_file.embed(noise))
    torch.save({"model_state": {}}, tmp_path / "pretrained.pt")
    with pytest.raises(ModelError, match="take the wheel from PyPI again"):
        DVector.load(tmp_path)


def test_dvectors_are_of_unit_length_whatever_the_batch(teachers: Teachers) -> None:
    noise = [row[:n].numpy() for row, n in zip(*padded_noise(4_000, 25_600, 70_000), strict=True)]
    together = teachers.dvector.embed(noise)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, np.concatenate([teachers.dvector.embed([one]) for one in noise]), atol=1e-5)


def test_what_teachers_say_is_kept(teachers: Teachers, tmp_path: Path) -> None:
    noise = [row.numpy() for row in padded_noise(12_000, 12_000)[0]]
    remembering = Teachers(teachers.wespeaker, teachers.dvector, tmp_path / "kept")
    first = remembering.embed(noise)
    (kept,) = (tmp_path / "kept").iterdir()
    np.save(kept, np.ones((2, 512)))
    assert first.shape == (2, 512)
    assert (remembering.embed(noise) == 1).all()


def test_no_teachers_in_the_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected wespeaker_resnet34_lm.ort in .*without --teachers"):
        Teachers.load(tmp_path)


def test_targets_are_the_teachers_cosines_without_what_a_corpus_has_in_common() -> None:
    random = np.random.default_rng(0)
    corpora = np.array(["a"] * 6 + ["b"] * 6)
    said = random.standard_normal((12, 512))
    moved = said + np.where(corpora == "a", 3.0, -2.0)[:, None]

    def targets(vectors: np.ndarray) -> np.ndarray:
        halves = [half / np.linalg.norm(half, axis=1, keepdims=True) for half in np.split(vectors, 2, axis=1)]
        return make_targets({1.0: np.concatenate(halves, axis=1)}, corpora, dim=12)

    found = targets(moved)
    assert found.shape == (12, 12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.abs(found[:6].mean(0)).max(), 0, atol=0.02)
    np.testing.assert_allclose(found @ found.T, targets(said) @ targets(said).T, atol=0.2)


def test_unlabelled_clips_are_voices_of_their_own(spoken: Callable[..., Speech]) -> None:
    clips = [spoken(np.ones(9, np.float32), speaker=name) for name in ("b", "a", "b", "", "")]
    named = [Speech(item.clip, str(n), item.waveform) for n, item in enumerate(clips)]
    assert [(voice.name, len(voice.clips)) for voice in group_voices(named)] == [("3", 1), ("4", 1), ("a", 1), ("b", 2)]


def test_the_loss_is_least_where_the_student_says_the_same() -> None:
    targets = torch.eye(3, 8)
    right = distance(targets[:2] * 5, targets[:2], targets, recipe=FAST)
    wrong = distance(targets[1:] * 5, targets[:2], targets, recipe=FAST)
    assert 0 <= float(right) < 0.01 < float(wrong)


def test_a_student_learns_and_a_rerun_is_the_same(teachers: Teachers, spoken: Callable[..., Speech]) -> None:
    random = np.random.default_rng(0)
    speech = [
        Speech(spoken(np.zeros(1, np.float32), speaker=name).clip, str(n), random.standard_normal(9_000).astype("f"))
        for n, name in enumerate(("a", "b", "a", ""))
    ]
    losses: list[list[float]] = [[], []]
    for heard in losses:
        fit_student(
            speech, teachers, recipe=FAST, config=TINY, seed=0, progress=lambda _, loss, __, h=heard: h.append(loss)
        )
    assert losses[0] == losses[1]
    assert np.mean(losses[0][-6:]) < np.mean(losses[0][:6])


@pytest.mark.usefixtures("_all_is_speech")
def test_voices_are_held_out_by_name_and_licences_are_looked_at(
    teachers: Teachers, tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = (corpus / "labels.csv").read_text().splitlines()
    names = sorted({row.split(",")[rows[0].split(",").index("speaker")] for row in rows[1:]})
    monkeypatch.setattr(training, "is_kept_out", lambda name: name in names[:2] + names[4:6])
    monkeypatch.setattr(training, "is_for_calibration", lambda name: name in names[2:4] + names[6:7])
    fast = StudentRecipe(steps=2, batch=4, speeds=(1.0,), coded=0.0, shortest_s=0.15, short_s=0.2)
    licensed = tmp_path / "labels.csv"
    licensed.write_text("\n".join([f"{rows[0]},license", *(f"{corpus}/{row},CC BY 4.0" for row in rows[1:])]) + "\n")
    metrics = training.train_student([tmp_path], teachers, tmp_path / "out", recipe=fast, encoder=TINY)
    assert 0 <= metrics["eer"] <= 1
    licensed.write_text(licensed.read_text().replace("CC BY 4.0", "CC BY-NC 4.0"))
    with pytest.raises(UsageError, match="expected 2 labelled speakers or more in each of the two eighths"):
        training.train_student([tmp_path], teachers, tmp_path / "none", recipe=fast, encoder=TINY)
    assert "clips under CC BY-NC 4.0 take no part; --any-licence uses them" in caplog.text
