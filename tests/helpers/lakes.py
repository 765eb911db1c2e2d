"""Empty lakes: one in a folder, and one below a prefix of a bucket."""

from pathlib import Path

from data_contracts import lake as lakes
from data_contracts.lake import Lake


def make_lake(folder: Path) -> Lake:
    """Nothing is written before a test does."""
    return lakes.open(str(folder / "lake"))


def make_s3_lake(bucket: str) -> Lake:
    """Not at the bucket's root, as real ones are not."""
    return lakes.open(f"s3://{bucket}/team/lake")
