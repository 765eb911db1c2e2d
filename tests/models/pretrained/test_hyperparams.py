"""hyperparams.yaml: allowed tags, refused ones, and the values."""

import pytest

from data_contracts.errors import ModelError
from models.pretrained import hyperparams

GOOD = """\
n: 3
path: here
net: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    channels: [!ref <n>, 4]
    where: !ref <path>/file.ckpt
label: !new:speechbrain.dataio.encoder.CategoricalEncoder
copy: !ref <net>
"""


def _file(folder, text):
    (folder / "hyperparams.yaml").write_text(text)
    return folder / "hyperparams.yaml"


def test_layers_pass_and_their_arguments_are_read(tmp_path):
    path = _file(tmp_path, GOOD)
    hyperparams.check(path)
    values = hyperparams.read_values(path)
    assert values["net"] == {"channels": [3, 4], "where": "here/file.ckpt"} == values["copy"]
    assert values["label"] == {}


@pytest.mark.parametrize(
    "text",
    [
        "a: !apply:os.system [touch code-was-run]",
        "a: !new:os.system\n    command: touch code-was-run",
        "a: !name:subprocess.run",
        "a: !module:antigravity",
        "a: !include:other.yaml",
        "a: !applyref:torch.hub.load\n    repo: x",
        "a: !new:torch.hub.load\n    repo: x",
        "a: !new:speechbrain.utils.fetching.fetch\n    filename: x",
        "a: !!python/object/apply:os.system [touch code-was-run]",
        "%TAG ! tag:yaml.org,2002:\n---\na: 1",
        "a: [1, {b: !apply:os.system [x]}]",
        "a: {unclosed",
    ],
)
def test_whatever_else_is_refused(tmp_path, text):
    with pytest.raises(ModelError):
        hyperparams.check(_file(tmp_path, text))


def test_the_values_of_what_is_refused_are_still_only_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = _file(tmp_path, "a: !apply:os.system [touch code-was-run]\nb: !ref <b>\n")
    assert hyperparams.read_values(path)["a"] == ["touch code-was-run"]
    assert not (tmp_path / "code-was-run").exists()


def test_no_file_says_what_was_expected(tmp_path):
    with pytest.raises(ModelError, match=r"expected SpeechBrain's hyperparams.yaml"):
        hyperparams.check(tmp_path / "hyperparams.yaml")
