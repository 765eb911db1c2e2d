"""The ledger: saved and restored, also from earlier versions, and its row of `runs`."""

import datetime as dt
from dataclasses import asdict

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.records import Counts
from data_contracts.schema.tables import RUNS
from tasks.run.ledger import Ledger

STARTED = dt.datetime(2026, 11, 22, 3, tzinfo=dt.UTC)


def test_saved_and_restored(lake):
    ledger = Ledger("r1", "nightly", STARTED, window_from=dt.date(2026, 11, 18), window_to=dt.date(2026, 11, 21))
    ledger.extracted = Counts(n_objects=3, audio_s=7200.0)
    with ledger.timed("extract"):
        pass
    ledger.finished = STARTED + dt.timedelta(seconds=72)
    ledger.save(lake)
    assert Ledger.restore(lake.read_json("staging/run=r1/run.json")) == ledger
    row = ledger.row()
    assert (row["audio_hours"], row["rtfx"], row["n_read"]) == (2.0, 100.0, 3)
    assert pa.Table.from_pylist([row], schema=RUNS).num_rows == 1


def test_a_ledger_of_a_version_with_other_fields_is_restored():
    """Its run was audited and not yet published: the next night, of a new version, finishes it."""
    saved = asdict(Ledger("r1", "nightly", STARTED)) | {"started": STARTED.isoformat()}
    saved["extracted"] = {"n_objects": 3, "functionals_s": 1.5}
    assert Ledger.restore(saved).extracted == Counts(n_objects=3)


def test_drift_of_an_earlier_version_is_found_by_its_words():
    shift = "run: expect_column_values_to_be_null(drifted): 1 of 1 rows; for example class_mix on 2026-11-20 (psi 2.1)"
    saved = asdict(Ledger("r1", "nightly", STARTED, failures=["run: another", shift]))
    del saved["drift"]
    assert Ledger.restore(saved | {"started": STARTED.isoformat()}).drift == [shift]


def test_without_audio_there_is_no_speed():
    assert Ledger("r1", "nightly", STARTED).row()["rtfx"] is None


@given(
    st.lists(
        st.builds(Counts, n_objects=st.integers(0, 9), n_ok=st.integers(0, 9), audio_s=st.floats(0, 9)), max_size=5
    )
)
def test_counts_add_up(parts):
    total = sum(parts, Counts())
    assert total.n_objects == sum(part.n_objects for part in parts)
    assert abs(total.audio_s - sum(part.audio_s for part in parts)) < 1e-9
