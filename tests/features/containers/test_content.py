"""Views of content as a file, in memory or mapped."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.containers.content import Part, View, map_file, skip


@given(
    data=st.binary(max_size=50),
    prefix=st.binary(max_size=10),
    suffix=st.binary(max_size=10),
    start=st.integers(0, 60),
    end=st.one_of(st.none(), st.integers(0, 60)),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(-1, 70)),
            st.tuples(st.sampled_from(["0", "1", "2"]), st.integers(-70, 70)),
        ),
        max_size=8,
    ),
)
def test_a_view_reads_like_a_file_of_the_same_bytes(data, prefix, suffix, start, end, steps):
    shown = prefix + data[start:end] + suffix
    view, file = View(data, start=start, end=end, prefix=prefix, suffix=suffix), io.BytesIO(shown)
    for step, n in steps:
        if step == "read":
            assert view.read(n) == file.read(n)
        else:
            whence = int(step)
            target = n + (0, file.tell(), len(shown))[whence]
            file.seek(target if target >= 0 else file.tell())  # where BytesIO would raise, a view stays
            assert view.seek(n, whence) == file.tell()
        assert view.tell() == file.tell()


@given(
    data=st.binary(max_size=30),
    bounds=st.lists(st.tuples(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 40))), min_size=1, max_size=2),
    first=st.integers(-5, 40),
    last=st.one_of(st.none(), st.integers(-5, 40)),
)
def test_a_part_reads_like_its_bytes(data, bounds, first, last):
    part, shown = data, data
    for start, end in bounds:
        part, shown = Part(part, start, end), shown[start:end]
    assert (len(part), part[first:last], part[:]) == (len(shown), shown[first:last], shown)
    assert View(part, start=1).read() == shown[1:]
    for wanted in (shown[1:3] or b"\0", b"\0"):
        assert part.find(wanted, 1, last) == shown.find(wanted, 1, last)
        assert part.rfind(wanted, 1, last) == shown.rfind(wanted, 1, last)
    assert [part[at] for at in range(-len(part), len(part))] == [*shown, *shown]
    with pytest.raises(IndexError):
        part[len(part)]


@pytest.mark.parametrize("n", [0, 3, 70_000])
def test_skip_ends_at_another_byte_or_the_end(n):
    assert skip(b"ab" + bytes(n) + b"\rc\0", 2, b"\0\r") == n + 3
    assert skip(b"ab" + bytes(n), 2, b"\0") == n + 2


def test_readinto_fills_what_there_is():
    buffer = bytearray(4)
    view = View(b"abcdef", start=1, prefix=b"-")
    assert (view.readinto(buffer), bytes(buffer)) == (4, b"-bcd")
    assert (view.readinto(buffer), bytes(buffer[:2])) == (2, b"ef")


def test_a_file_is_mapped(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "empty").touch()
    with map_file(tmp_path / "a") as content:
        assert (content[:2], len(content), content.rfind(b"c")) == (b"ab", 3, 2)
        assert View(content).read() == b"abc"
    with map_file(tmp_path / "empty") as content:
        assert content == b""
    with pytest.raises(FileNotFoundError), map_file(tmp_path / "none"):
        pass


def test_read_pages_of_a_mapped_file_are_released(tmp_path, monkeypatch):
    monkeypatch.setattr("features.containers.content._MAX_RESIDENT_BYTES", 1 << 20)
    data = bytes(range(256)) * (16 << 12)  # 16 MB
    (tmp_path / "a").write_bytes(data)

    def resident_mb() -> float:
        mapping = Path("/proc/self/smaps").read_text().split(str(tmp_path / "a"))[1]
        return int(re.search(r"Rss:\s+(\d+) kB", mapping)[1]) / 1024

    if not Path("/proc/self/smaps").exists():
        pytest.skip("only Linux tells what is resident of a mapping")
    with map_file(tmp_path / "a") as content:
        view = View(content)
        assert b"".join(iter(lambda: view.read(100_000), b"")) == data
        assert resident_mb() < 4
        assert content[:256] == data[:256]
