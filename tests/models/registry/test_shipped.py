"""Newly shipped weights in a registry that began with earlier ones: registered on request, and once."""

import json
import shutil

import pytest
from helpers.emotion_model import save_emotion_model

from data_contracts.errors import ModelError
from models.registry import shipped
from models.registry.shipped import add_shipped, newer_shipped


@pytest.fixture
def upgraded(models, first, monkeypatch):
    """A registry with the model shipped before, after an upgrade that ships another, and one for research."""
    monkeypatch.setattr(shipped, "WEIGHTS", first.parent)
    models.champion("emotion")
    save_emotion_model(first, seed=2, training={"licences": {"lab": ["CC BY 4.0"], "crowd": ["Apache-2.0"]}})
    research = {"licences": {"lab": ["CC BY 4.0"], "actors": ["CC BY-NC-SA 4.0"]}}
    save_emotion_model(first.parent / "emotion_research", seed=3, training=research)
    return models


def test_newly_shipped_weights_wait_to_be_asked_for(upgraded):
    before = upgraded.champion("emotion")
    assert before.version == "1"
    assert "undertone models add shipped" in newer_shipped(upgraded, "emotion")
    (added,) = add_shipped(upgraded, "shipped")
    assert (added.ref.version, added.licence) == ("2", "Apache-2.0 and CC BY 4.0")
    assert (added.is_new, added.is_champion) == (True, False)
    assert upgraded.version("emotion", "challenger") == added.ref
    assert upgraded.champion("emotion") == before
    assert newer_shipped(upgraded, "emotion").endswith("`undertone models promote emotion 2`")


def test_they_are_registered_once_promoted_and_gone_back_from(upgraded):
    (added,) = add_shipped(upgraded, "shipped")
    (again,) = add_shipped(upgraded, "shipped")
    assert (again.ref, again.is_new) == (added.ref, False)
    upgraded.promote("emotion", "2")
    assert newer_shipped(upgraded, "emotion") is None
    assert [item.is_champion for item in add_shipped(upgraded, "shipped")] == [True]
    upgraded.rollback("emotion")
    upgraded.tag("emotion", "2", {"undertone.rolled_back_at": "2026-12-01"})
    assert newer_shipped(upgraded, "emotion") is None, "who went back is not asked again"


def test_research_weights_are_versions_beside_the_shipped(upgraded):
    (added,) = add_shipped(upgraded, "research")
    assert (added.ref.version, added.licence) == ("2", "CC BY-NC-SA 4.0")
    assert upgraded.versions("emotion")[0].tags["undertone.licence"] == "CC BY-NC-SA 4.0"
    upgraded.promote("emotion", "2")
    assert newer_shipped(upgraded, "emotion") is None, "a choice of one's own"


def test_without_such_weights_it_says_what_is_there(upgraded, first):
    shutil.rmtree(first.parent / "emotion_research")
    with pytest.raises(ModelError, match=r"expected research weights in .*; found emotion; install Undertone again"):
        add_shipped(upgraded, "research")


def test_an_empty_registry_begins_with_them(models, first, monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", first.parent)
    (added,) = add_shipped(models, "shipped")
    assert (added.ref.version, added.is_new, added.is_champion) == ("1", False, True)
    assert json.loads((first / "config.json").read_text())["classes"] == added.ref.metadata["classes"]
