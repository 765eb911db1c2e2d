"""Listed objects: neither other systems' decorations nor a lake's own files, in a folder and in stores."""

import boto3
import fsspec
import pytest

from data_contracts.errors import UsageError
from features.corpus.layout import Corpus
from features.corpus.listing import list_objects

AUDIO = ["2026/11/21/a.wav", "2026/11/21/empty.wav", "2026/11/21/part/b.tmp.wav", "2026/11/21/tmp", "2026/11/21/x$.wav"]
DECORATIONS = [
    *(".DS_Store", "._a.wav", ".Trash/a.wav", ".Trash-1000/a.wav", ".Spotlight-V100/x", ".fseventsd/0", ".nfs0001"),
    *("Thumbs.db", "THUMBS.DB", "desktop.ini", "Desktop.ini", "$RECYCLE.BIN/a.wav", "System Volume Information/x"),
    *("lost+found/a.wav", "@eaDir/a.wav", "@eaDir/a.wav@SynoEAStream", "#recycle/a.wav", "a.wav@SynoResource"),
    *("__MACOSX/2026/a.wav", "Icon\r", "~$calls.xlsx", "~syncthing~a.wav.tmp", ".syncthing.a.wav.tmp", "a.wav.part"),
    *("a.wav.partial", "a.wav.filepart", "a.wav.crdownload", "a.wav.tmp", "_SUCCESS", "11_$folder$", "undertone.toml"),
]
LAKE = ["features/recordings/x.parquet", "analytics/runs/x.json", "registry/mlflow.db", "staging/run=r/x.json"]


@pytest.fixture(params=["folder", "s3", "memory"])
def put(request, tmp_path):
    """Write files below a root, and return the root."""

    bucket = request.getfixturevalue("s3") if request.param == "s3" else ""

    def to_folder(names):
        for name in names:
            path = tmp_path / "corpus" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"" if "empty" in name else b"x")
        return str(tmp_path / "corpus")

    def to_bucket(names):
        client = boto3.client("s3")
        for name in names:
            client.put_object(Bucket=bucket, Key=f"calls/{name}", Body=b"" if "empty" in name else b"x")
        return f"s3://{bucket}/calls"

    def to_memory(names):
        root = f"{tmp_path}/calls"
        fsspec.filesystem("memory").pipe({f"{root}/{name}": b"" if "empty" in name else b"x" for name in names})
        return f"memory://{root}"

    return {"folder": to_folder, "s3": to_bucket, "memory": to_memory}[request.param]


def _names(root: str, **options) -> list[str]:
    found = list_objects(Corpus(root, **options), None)
    return sorted(item.uri.removeprefix(root).lstrip("/") for item in found)


def test_decorations_are_listed_only_where_asked_for(put):
    """`Thumbs.db` and `desktop.ini` were rejects of every night, and a file half transferred was read."""
    beside = [f"2026/11/21/{name}" for name in DECORATIONS]
    root = put([*AUDIO, *beside])
    assert _names(root) == sorted(AUDIO)
    assert _names(root, hidden=True) == sorted([*AUDIO, *beside])


def test_a_hidden_root_is_a_root(put):
    root = put(["@eaDir/.x/a.wav"])
    assert _names(f"{root}/@eaDir/.x") == ["a.wav"]


def test_a_manifest_gets_what_it_names(put, tmp_path):
    root = put(["2026/11/21/lost+found/.a.wav"])
    (tmp_path / "calls.csv").write_text("uri\n2026/11/21/lost+found/.a.wav\n")
    assert _names(root, manifest=str(tmp_path / "calls.csv")) == ["2026/11/21/lost+found/.a.wav"]


def test_the_lake_inside_its_corpus_is_left_out(put):
    """Its files were rejects, more with every run."""
    root = put(["a.wav", "lakes/a.wav", "lakes/mine/features/x.parquet", "lakes/mine-not/a.wav"])
    own = (f"{root}/lakes/mine",)
    assert _names(root, own_folders=own, hidden=True) == ["a.wav", "lakes/a.wav", "lakes/mine-not/a.wav"]
    assert _names(f"{root}/lakes", own_folders=own) == ["a.wav", "mine-not/a.wav"]


def test_a_lake_of_that_name_elsewhere_leaves_nothing_out(put):
    root = put(["lake/a.wav"])
    path = root.partition("://")[2] or root
    for elsewhere in ("gs://", "/" if "://" in root else "s3:/"):
        assert _names(root, own_folders=(f"{elsewhere}{path}/lake",)) == ["lake/a.wav"]


def test_a_corpus_inside_its_lake_is_listed(put):
    root = put(["calls/a.wav"])
    assert _names(f"{root}/calls", own_folders=(root,)) == ["a.wav"]


def test_the_same_folder_cannot_be_both(put):
    root = put(["a.wav"])
    for lake in (root, f"{root}/"):
        with pytest.raises(UsageError, match="expected the lake in a folder of its own, found it where the audio is"):
            Corpus(root, own_folders=(lake,))
    assert Corpus(root, own_folders=(root,), manifest="calls.csv")


def test_links_to_the_lake_are_the_lake(tmp_path):
    for folder in ("corpus", "lake"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.wav").write_bytes(b"x")
    (tmp_path / "corpus/link").symlink_to(tmp_path / "lake")
    assert _names(str(tmp_path / "corpus"), own_folders=(str(tmp_path / "lake"),)) == ["a.wav"]
    with pytest.raises(UsageError, match="a folder of its own"):
        Corpus(str(tmp_path / "corpus/link"), own_folders=(str(tmp_path / "lake"),))


def test_other_lakes_are_known_by_their_folders(tmp_path):
    """`demo`, and then `demo --corpus .` in the same folder."""
    for name in ("a.wav", "features/a.wav", *(f"demo-lake/{name}" for name in LAKE)):
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert _names(str(tmp_path / "corpus")) == ["a.wav", "features/a.wav"]
    assert len(_names(str(tmp_path / "corpus/demo-lake"))) == len(LAKE), "a root that is asked for is listed"


def test_an_empty_object_that_stands_for_a_folder_is_no_recording(s3):
    """Some tools mark a folder by an empty object of its name, without a slash."""
    client = boto3.client("s3")
    keys = ["calls/2026", "calls/2026/11", "calls/2026/11/21", "calls/2026/11/21/a.wav", "calls/2026/11/21/", "calls/b"]
    for key in [*keys, "calls/2026/11/21/lost"]:
        client.put_object(Bucket=s3, Key=key, Body=b"x" if key.endswith(".wav") else b"")
    assert _names(f"s3://{s3}/calls") == ["2026/11/21/a.wav", "2026/11/21/lost", "b"]
