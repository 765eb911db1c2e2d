"""Ceph's S3 gateway on loopback, for the tests that hold promises about S3. Nothing of the system is changed.

    python tests/helpers/radosgw.py run -- COMMAND …

Debian's packages are fetched and unpacked once, into .cache/radosgw (70 MB, no root); then a monitor, an OSD on disk
and the gateway run while the command does, in a folder of their own; the AWS settings and UNDERTONE_TEST_S3_ENDPOINT
point there. Its conditional writes are If-None-Match alone: If-Match is refused.
"""

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "radosgw"
PACKAGES = ("ceph-mon", "ceph-osd", "radosgw")
KEY, SECRET = "undertone", "undertone-on-loopback"
_PATIENCE_S = 120.0

_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{v2}/0,v1:127.0.0.1:{v1}/0]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {here}
admin socket =
log file = {here}/$name.log
keyring = {here}/keyring
mon data = {here}/mon
mon cluster log file = {here}/cluster.log
mon allow pool size one = true
osd data = {here}/osd
osd class dir = {libraries}/rados-classes
osd objectstore = bluestore
bluestore block size = 10737418240
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd crush chooseleaf type = 0
erasure code dir = {libraries}/ceph/erasure-code
plugin dir = {libraries}/ceph
rgw data = {here}
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw enable usage log = false
rgw cache enabled = true
"""

_KEYRING = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
    "client.rgw": ("mon", "allow rw", "osd", "allow rwx"),
}


def unpacked() -> Path:
    """The folder with the programs and libraries, fetched where they are not there yet."""
    root = CACHE / "root"
    if root.is_dir():
        return root
    missing = [name for name in ("apt-get", "dpkg") if shutil.which(name) is None]
    if missing or platform.system() != "Linux":
        sys.exit(
            "make test-s3 fetches Ceph from Debian's packages, by apt-get and dpkg; found no "
            f"{' and no '.join(missing) or 'Linux'} here: run it on Debian or Ubuntu. `make test` has the same tests, "
            "on moto's server"
        )
    print(f"fetching {', '.join(PACKAGES)} and the libraries that they need into {CACHE}", file=sys.stderr)
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (CACHE / folder).mkdir(parents=True, exist_ok=True)
    own = {
        "Dir::State": CACHE / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": CACHE / "cache",
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in own.items())]
    for arguments in (["update"], ["install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES]):
        if subprocess.run([*apt, *arguments], check=False).returncode:
            sys.exit(f"apt-get {arguments[0]} failed: are Debian's archives within reach (/etc/apt/sources.list)?")
    draft = CACHE / f"root.{os.getpid()}"
    for package in sorted((CACHE / "cache" / "archives").glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, draft], check=True)
    draft.rename(root)
    return root


@contextlib.contextmanager
def radosgw() -> Iterator[dict[str, str]]:
    """A cluster of one monitor, one OSD and one gateway; yields the settings by which S3's clients reach it."""
    root = unpacked()
    libraries = next((root / "usr" / "lib").glob("*-linux-gnu"))
    with contextlib.ExitStack() as stack:
        here = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=CACHE)))
        v1, v2, gateway = _free_ports(3)
        cluster = _Cluster(root, libraries, here)
        cluster.configure(v1=v1, v2=v2, gateway=gateway)
        for daemon in ("ceph-mon -i a", "ceph-osd -i 0"):
            cluster.start(stack, *daemon.split(), "-f")
        gateway_process = cluster.start(stack, "radosgw", "-n", "client.rgw", "-f")
        endpoint = f"http://127.0.0.1:{gateway}"
        cluster.wait(endpoint, gateway_process)
        user = ["--uid=tests", "--display-name=tests", f"--access-key={KEY}", f"--secret={SECRET}"]
        cluster.tool("radosgw-admin", "user", "create", *user)
        yield {
            "UNDERTONE_TEST_S3_ENDPOINT": endpoint,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        }


class _Cluster:
    """Where its programs and its files are, and how each is run."""

    def __init__(self, root: Path, libraries: Path, here: Path) -> None:
        self.root, self.libraries, self.here = root, libraries, here
        paths = [str(libraries), str(libraries / "ceph"), str(root / "lib" / libraries.name)]
        self.environment = {
            "PATH": os.environ["PATH"],
            "LD_LIBRARY_PATH": os.pathsep.join(paths),
            "CEPH_CONF": str(here / "ceph.conf"),
        }

    def configure(self, *, v1: int, v2: int, gateway: int) -> None:
        """Keys, maps, and the empty stores of monitor and OSD."""
        here, fsid = self.here, str(uuid.uuid4())
        (here / "ceph.conf").write_text(
            _CONFIGURATION.format(here=here, libraries=self.libraries, fsid=fsid, v1=v1, v2=v2, gateway=gateway)
        )
        keyring = here / "keyring"
        for number, (name, grants) in enumerate(_KEYRING.items()):
            pairs = zip(grants[::2], grants[1::2], strict=True)
            caps = [word for service, grant in pairs for word in ("--cap", service, grant)]
            create = [] if number else ["--create-keyring"]
            self.tool("ceph-authtool", keyring, *create, "--gen-key", "-n", name, *caps)
        addresses = f"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]"
        self.tool("monmaptool", "--create", "--fsid", fsid, "--addv", "a", addresses, here / "monmap")
        self.tool("osdmaptool", "--createsimple", "1", here / "osdmap")
        maps = ["--monmap", here / "monmap", "--osdmap", here / "osdmap"]
        self.tool("ceph-mon", "--mkfs", "-i", "a", *maps, "--keyring", keyring)
        (here / "osd").mkdir()
        alone = ["--monmap", here / "monmap", "--no-mon-config"]
        self.tool("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", str(uuid.uuid4()), *alone)

    def tool(self, program: str, *arguments: str | Path) -> None:
        """Runs one of its programs to the end; exits with what it said where it fails."""
        command = [self.root / "usr" / "bin" / program, *arguments]
        ended = subprocess.run(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if ended.returncode:
            sys.exit(
                f"{program} {' '.join(map(str, arguments))} ended with {ended.returncode}:\n{ended.stdout[-3000:]}"
            )

    def start(self, stack: contextlib.ExitStack, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a daemon, which is ended with the stack."""
        with (self.here / f"{program}.out").open("wb") as log:
            process = subprocess.Popen(
                [self.root / "usr" / "bin" / program, *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command
            )
        stack.callback(_end, process)
        return process

    def wait(self, endpoint: str, process: subprocess.Popen[bytes]) -> None:
        """Until the gateway answers."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and process.poll() is None:
            try:
                urllib.request.urlopen(endpoint, timeout=5).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
            else:
                return
        logs = [path.read_text(errors="replace")[-2000:] for path in sorted(self.here.glob("*.out"))]
        sys.exit("\n".join([f"Ceph's gateway does not answer at {endpoint}", *logs]))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing in it is to be kept."""
    process.kill()
    process.wait()


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


def main() -> None:
    if sys.argv[1:3] != ["run", "--"] or len(sys.argv) < 4:
        sys.exit(__doc__)
    with radosgw() as settings:
        ended = subprocess.run(sys.argv[3:], env={**os.environ, **settings}, check=False)
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
