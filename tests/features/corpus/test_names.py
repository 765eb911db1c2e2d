"""Names that are not UTF-8 are written as text and found again."""

import os
import tempfile
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from features.corpus.names import is_hidden, to_disk_name, to_text

BYTES = st.lists(st.integers(1, 255).filter(lambda byte: byte != ord("/")), min_size=1, max_size=40).map(bytes)


@given(BYTES)
def test_whatever_the_bytes_the_file_is_found(raw):
    name = os.fsdecode(raw)
    assume(name not in {".", ".."})
    assume("\\x" not in name or name == to_text(name))  # the escape and the byte that it stands for, in one name
    to_text(name).encode()  # is text
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(raw)
        assert Path(to_disk_name(f"{folder}/{to_text(name)}")).read_bytes() == raw


def test_the_very_name_goes_first(tmp_path):
    for name in (os.fsdecode(b"a\xe9"), "a\\xe9"):
        (tmp_path / name).touch()
    assert to_disk_name(f"{tmp_path}/a\\xe9") == f"{tmp_path}/a\\xe9"
    assert to_disk_name(f"{tmp_path}/b\\xe9") == f"{tmp_path}/b\\xe9"


def test_hidden_paths():
    assert [name for name in (".a", "a/.b/c", "..a", "a/..a") if not is_hidden(name)] == []
    assert [name for name in ("a", "a.b", "../a", "a/./b", "a/..", "a..b") if is_hidden(name)] == []
