"""Names of `undertone` and the cost of importing it: no library before it is needed, every name in `__all__`."""

import os
import subprocess
import sys
from importlib import metadata

import pytest
import torch

import undertone as ut

_LIBRARIES = """
import sys, undertone as ut
loaded = {name.split(".")[0] for name in sys.modules} & {
    "torch", "prefect", "dask", "distributed", "mlflow", "polars", "duckdb", "deltalake", "pyarrow", "numpy", "pandas",
    "scipy", "pydantic", "fsspec", "botocore", "great_expectations", "features", "models", "tasks", "flows",
}
assert not loaded, f"import undertone loads {sorted(loaded)}"
assert set(ut.__all__) <= set(dir(ut))
"""

_READING = """
import os, sys, undertone as ut
lake = ut.open("demo-lake")
assert lake.scan("utterances").collect().height == 2
assert lake.sql("SELECT count(*) FROM utterances").item() == 2
loaded = sys.modules.keys() & {"torch", "prefect", "dask", "distributed", "mlflow", "great_expectations", "scipy"}
assert not loaded, f"reading a lake loads {sorted(loaded)}"
assert os.environ["HF_HUB_OFFLINE"] == "0", "reading a lake must not forbid downloads"
"""


def _run(code: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}  # which `flows` set
    command = [sys.executable, "-c", code]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


def test_import_loads_no_library():
    _run(_LIBRARIES)


def test_reading_a_lake_needs_neither_torch_nor_prefect(demo_lake):
    _run(_READING)


def test_every_name_exists_and_has_a_docstring():
    for name in ut.__all__:
        assert getattr(ut, name) is not None
        if callable(getattr(ut, name)):
            assert getattr(ut, name).__doc__, name
    with pytest.raises(AttributeError, match="module 'undertone' has no attribute 'egemap'"):
        ut.egemap  # noqa: B018


def test_version_is_that_of_the_distribution():
    assert ut.__version__ == metadata.version("undertone")


def test_the_audio_functions_take_a_batch():
    waveform = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([16_000, 12_000])
    assert ut.egemaps(waveform, lengths).shape == (2, len(ut.EGEMAPS_NAMES)) == (2, 88)
    descriptors = ut.egemaps_lld(waveform, lengths)
    assert descriptors.values.shape[2] == len(ut.LLD_NAMES)
    assert ut.suprasegmental(waveform, lengths, descriptors).shape == (2, len(ut.SUPRASEGMENTAL_NAMES))
    assert ut.f0_track(waveform, lengths).f0_hz.shape[0] == 2
    assert ut.formant_track(waveform, lengths).frequency_hz.shape[0] == 2


def test_python_m_undertone_is_the_command():
    process = subprocess.run([sys.executable, "-m", "undertone", "--help"], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert "Usage: python -m undertone" in process.stdout
