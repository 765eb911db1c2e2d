"""Makes lake.tar.xz, a small lake and its MLflow registry as a checkout publishes them; README.md says what is in it.

python tests/data/lake_417aaf7/make.py CHECKOUT OUT.tar.xz
"""

import functools
import hashlib
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import boto3
import torch
from moto.server import ThreadedMotoServer
from safetensors.torch import load_file, save_file

PLACE = Path("/tmp/undertone-earlier")  # MLflow's database says it in full; the test puts its own folder in its stead
BUCKET = "undertone-earlier"
CLIPS = (
    "2026/11/19/call-0004-voice-d.ogg",
    "2026/11/19/call-0007-voice-b.mp3",
    "2026/11/19/call-0032-empty.wav",
    "2026/11/20/call-0016-voice-a.opus",
    "2026/11/20/call-0018-voice-f.ogg",
    "2026/11/21/call-0026-voice-e.mp3",
    "2026/11/21/readme-not-audio.mp3",
)
COPY = (CLIPS[1], "2026/11/21/call-0034-voice-b.mp3")
SHIPPED = ("emotion", "speaker")
_CHANNELS = [8, 8, 8, 8, 24]
_ECAPA = f"""\
pretrained_path: nobody/random-ecapa
n_mels: 20
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: {_CHANNELS}
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    groups: [1, 1, 1, 1, 1]
    attention_channels: 8
    se_channels: 8
    lin_neurons: 16
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        mean_var_norm_emb: !ref <mean_var_norm_emb>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        mean_var_norm_emb: !ref <pretrained_path>/mean_var_norm_emb.ckpt
"""
_WAV2VEC2 = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 24,
    "id2label": dict(enumerate(("ang", "hap", "neu", "sad"))),
}


def main() -> None:
    checkout, out = (Path(argument).resolve() for argument in sys.argv[1:3])
    sys.path.insert(0, str(checkout))
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    shutil.rmtree(PLACE, ignore_errors=True)
    corpus, lake = PLACE / "corpus", PLACE / "lake"
    write_corpus(checkout / "flows" / "sample" / "corpus", corpus)
    write_linear(checkout / "models" / "weights" / "emotion", PLACE / "linear")
    write_ecapa(PLACE / "ecapa")
    write_wav2vec2(PLACE / "wav2vec2")
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        do = functools.partial(undertone, checkout, serve(corpus, "http://{}:{}".format(*server.get_host_and_port())))
        publish(do, checkout, lake)
    finally:
        server.stop()
    prune(checkout, lake)
    with tarfile.open(out, "w:xz", preset=9) as archive:
        for part in (corpus, lake):
            archive.add(part, part.name, filter=nobodys)
    print(f"{out}: {out.stat().st_size:,} bytes")
    shutil.rmtree(PLACE)


def write_corpus(sample: Path, corpus: Path) -> None:
    for clip, name in (*zip(CLIPS, CLIPS, strict=True), COPY):
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample / clip, corpus / name)


def serve(corpus: Path, endpoint: str) -> dict[str, str]:
    """Puts the corpus into a bucket; the settings by which a process reaches it."""
    own = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "a", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(own)
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    for path in sorted(path for path in corpus.rglob("*") if path.is_file()):
        client.put_object(Bucket=BUCKET, Key=str(path.relative_to(corpus)), Body=path.read_bytes())
    return own | {"AWS_ENDPOINT_URL": endpoint}


def undertone(checkout: Path, environment: dict[str, str], *argv: str) -> None:
    """The command of the checkout, with nothing of this machine's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "UNDERTONE_", "MLFLOW_"))}
    own = {"PYTHONPATH": str(checkout), "PREFECT_HOME": str(PLACE / "prefect"), "XDG_STATE_HOME": str(PLACE / "state")}
    settings = {
        "UNDERTONE_CORPUS": f"s3://{BUCKET}",
        "UNDERTONE_LAKE": str(PLACE / "lake"),
        "UNDERTONE_CLUSTER": "threads",
        "UNDERTONE_SHARD_BYTES": "30000",  # a clip a shard, so that there is something to pack
    }
    print("undertone", *argv, flush=True)
    command = [sys.executable, "-m", "flows", *argv]
    subprocess.run(command, cwd=PLACE, env=kept | environment | own | settings, check=True)


def publish(do, checkout: Path, lake: Path) -> None:
    """Three nights, between them an enrollment, a maintenance and a promotion; then a rollback, and a score.

    Last come two models from elsewhere, as challengers.
    """
    do("nightly", "--date", "2026-11-19")
    do("enroll", "Ada Lovelace", f"s3://{BUCKET}/{CLIPS[0]}")
    do("nightly", "--date", "2026-11-20")
    do("maintain", "--older-than-days", "0")
    register(checkout, lake, PLACE / "linear")
    do("models", "promote", "emotion", "2", "--force", "--reason", "the linear parts alone")
    do("nightly", "--date", "2026-11-21")
    do("models", "rollback", "emotion", "--reason", "for a test")
    do("backfill", "--stage", "score")
    do("models", "pull", "nobody/random-ecapa", "--from", str(PLACE / "ecapa"), "--as", "speaker")
    do("models", "pull", "nobody/random-wav2vec2", "--from", str(PLACE / "wav2vec2"), "--as", "emotion")


def write_linear(shipped: Path, folder: Path) -> None:
    """The shipped emotion model without its networks, so that another version is small."""
    shutil.copytree(shipped, folder)
    weights = load_file(shipped / "weights.safetensors")
    numbers = sorted({name.split(".")[1] for name in weights if name.startswith("members.")}, key=int)
    linear = [number for number in numbers if f"members.{number}.inner.weight" not in weights]
    kept = {name: value for name, value in weights.items() if not name.startswith("members.")}
    for new, old in enumerate(linear):
        before = f"members.{old}."
        kept |= {
            f"members.{new}.{name.removeprefix(before)}": value
            for name, value in weights.items()
            if name.startswith(before)
        }
    save_file(kept, folder / "weights.safetensors")
    (folder / "README.md").write_text("# The linear parts of the shipped emotion model\n\nFor a test.\n")


def register(checkout: Path, lake: Path, folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from flows.settings import Settings; "
        "ours = Settings.load(lake=sys.argv[1]); registry = ours.open_registry(ours.open_lake()); "
        "registry.register('emotion', Path(sys.argv[2]), alias='challenger', description='linear')"
    )
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run([sys.executable, "-c", code, str(lake), str(folder)], cwd=PLACE, env=environment, check=True)


def write_ecapa(folder: Path) -> None:
    """A speaker encoder as SpeechBrain publishes them, small and random."""
    from models.speechbrain_compat import speechbrain_importable

    with speechbrain_importable():
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
    torch.manual_seed(0)
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(_ECAPA)
    network = ECAPA_TDNN(20, channels=_CHANNELS, attention_channels=8, se_channels=8, lin_neurons=16)
    torch.save(network.state_dict(), folder / "embedding_model.ckpt")
    statistics = {"count": 3, "glob_mean": torch.zeros(16), "glob_std": torch.ones(16), "spk_dict_mean": {}}
    torch.save(statistics, folder / "mean_var_norm_emb.ckpt")


def write_wav2vec2(folder: Path) -> None:
    """An emotion model of transformers, small and random."""
    from models.speechbrain_compat import speechbrain_importable

    with speechbrain_importable():  # parts of it import torchaudio
        import transformers
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**_WAV2VEC2)
    transformers.Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)


def prune(checkout: Path, lake: Path) -> None:
    """Takes out reports and Data Docs, and the weights that the checkout ships: shipped.json says where they were."""
    for run in (lake / "validation").iterdir():
        shutil.rmtree(run / "docs")
        (run / "report.html").unlink()
    shipped = {}
    for name in SHIPPED:
        weights = checkout / "models" / "weights" / name / "weights.safetensors"
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        for path in sorted(lake.rglob("weights.safetensors")):
            if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
                shipped[str(path.relative_to(lake))] = {"model": name, "sha256": digest}
                path.unlink()
    (lake / "shipped.json").write_text(json.dumps(shipped, indent=2) + "\n")
    with sqlite3.connect(lake / "registry" / "mlflow.db") as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("VACUUM")


def nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = int(entry.mtime)
    return entry


if __name__ == "__main__":
    main()
