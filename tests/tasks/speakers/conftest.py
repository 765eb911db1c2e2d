"""A lake with three speakers for the tests of manual edits."""

import pytest
from helpers.three_speakers import publish_three_speakers


@pytest.fixture
def lake(lake):
    publish_three_speakers(lake)
    return lake
