"""The mutation run (tests/fuzz): it notices what it seeks, and its mutants are the same each time."""

from dataclasses import replace

import pytest
from fuzz.mutants import CHANGES, CODECS, Good, Mutant, good_file, mutant
from fuzz.mutation_run import judge, run_format
from helpers.audio_files import voice, written

from data_contracts.rejects import Reason, Reject
from features.decode.recording import decode

DATA = written(voice(1.0), "wav/pcm_16")
WHOLE = decode(DATA)


@pytest.mark.parametrize(
    ("seconds", "flaw", "outcome"),
    [(1.0, None, "ok"), (0.95, None, "ok"), (0.5, None, "violation"), (0.5, "half is unread", "flaw")],
)
def test_less_audio_than_the_bytes_hold_is_a_violation(seconds, flaw, outcome):
    found = replace(WHOLE, measures=replace(WHOLE.measures, seconds=seconds, flaw=flaw))
    assert judge(Mutant("cut", DATA, 1.0), WHOLE, found)[0] == outcome


def test_the_same_samples_at_another_rate_are_no_violation():
    found = replace(WHOLE, measures=replace(WHOLE.measures, seconds=0.5, sample_rate_hz=32_000))
    assert judge(Mutant("field", DATA, 1.0), WHOLE, found)[0] == "ok"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("expected a file that decodes; the decoder's process ended by SIGSEGV", "crash"),
        ("expected a file that decodes; KeyError: 'x' (please report this file)", "crash"),
        ("expected a file that decodes; no sample came for 10 s", "hang"),
        ("the header promises 3 frames, decoded 2", "rejected"),
    ],
)
def test_crashes_and_hangs_are_told_from_rejects(error, outcome):
    assert judge(Mutant("cut", DATA, 1.0), WHOLE, Reject(Reason.CORRUPT, error))[0] == outcome


@pytest.mark.parametrize("codec", CODECS)
def test_no_mutant_loses_audio_without_a_word(codec):
    """A slice of the run over 1,000 mutants of each format."""
    outcomes = run_format(good_file(codec), 5, seed=1)
    assert outcomes.bad == []
    assert outcomes.counts.total() == 5


def test_number_and_seed_name_a_mutant():
    good = Good("wav/pcm_16", DATA, ((DATA, 1.0),))
    mutants = [mutant(good, 1.0, n, seed=1) for n in range(10)]
    assert mutants == [mutant(good, 1.0, n, seed=1) for n in range(10)]
    assert [made.change for made in mutants] == 2 * list(CHANGES)
    assert len({made.data for made in mutants}) == 10
