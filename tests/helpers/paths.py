"""Places in the checkout that tests read, wherever the tests themselves stand."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
SYNTHETIC_VOICES = TESTS / "data" / "synthetic_voices"
SAMPLE = SYNTHETIC_VOICES / "corpus"
SHARED_CORPORA = ROOT.parent / "shared" / "corpora"
WEIGHTS = ROOT / "models" / "weights"
IMPORTABLE = f"{ROOT}:{TESTS}"
"""PYTHONPATH of a process of its own that imports the project, `helpers`, or a test by its name."""
