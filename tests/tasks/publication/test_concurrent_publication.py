"""Concurrent publishers, in a folder and on S3: every publication is there, complete and once."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from data_contracts import lake as lakes
from data_contracts.schema.tables import SPEAKERS
from tasks.publication.commit import RUN_ID
from tasks.publication.manual_change import ManualChange, publish_manual_change

_COLUMNS = pa.schema([field.with_nullable(True) for field in SPEAKERS])


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_concurrent_publishers_all_publish_once(request, tmp_path, where):
    uri = f"s3://{request.getfixturevalue('s3')}/lake" if where == "s3" else str(tmp_path / "lake")

    def publish(who: int) -> str | None:
        rows = pa.Table.from_pylist([{"speaker_id": f"spk_{who}"}], schema=_COLUMNS)
        return publish_manual_change(lakes.open(uri), "rename", lambda _: ManualChange({"speakers": rows}))

    with ThreadPoolExecutor(3) as pool:
        run_ids = list(pool.map(publish, range(6)))
    lake = lakes.open(uri)
    assert sorted(lake.scan("speakers").collect()["speaker_id"]) == [f"spk_{who}" for who in range(6)]
    assert sorted(lake.scan("runs").collect()["run_id"]) == sorted(run_ids)
    for table in ("speakers", "runs"):
        assert sorted(commit[RUN_ID] for commit in lake.delta(table).history()) == sorted(run_ids)
