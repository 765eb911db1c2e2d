"""Names of channels in every accepted form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.channel_names import channel_names

WORD = st.text(st.characters(exclude_characters=',[]"', exclude_categories=["Cs"])).map(str.strip)


@given(st.lists(WORD, min_size=1, max_size=5))
def test_every_form_gives_the_same_names(names):
    expected = tuple(names) if any(names) else ()
    assert channel_names(names) == expected
    assert channel_names(json.dumps(names)) == expected
    assert channel_names(", ".join(names)) == expected


def test_a_channel_may_have_no_name():
    assert channel_names("agent,,observer") == channel_names(["agent", None, "observer"]) == ("agent", "", "observer")
    assert channel_names("") == channel_names([]) == channel_names(" , ") == ()


@pytest.mark.parametrize("value", [7, None, True, {"0": "agent"}, ["agent", 1], "[1, 2]", "[agent, customer]", b"a,b"])
def test_other_values_are_refused(value):
    with pytest.raises(ValueError, match="expected names such as 'agent,customer'"):
        channel_names(value)
