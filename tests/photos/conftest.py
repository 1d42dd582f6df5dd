"""The photos that most tests read, and a real OpenSSH server: made once, when a test asks for them."""

import pytest

from anabranch.photos import sample
from anabranch.sftp import hosts
from tests import sshd as openssh


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """Keep the user's keys, agent and known hosts out of the tests, and each test's connections from the next."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("SSH_AUTH_SOCK", "SFTP_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    yield
    hosts.close_idle()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    """A real server that serves every folder of this machine."""
    with openssh.serving(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="session")
def album(tmp_path_factory):
    """600 photos in all containers, ten of them without a position: their folder, and what each says."""
    folder = tmp_path_factory.mktemp("album")
    return folder, sample.write_photos(folder, 600, kinds=tuple(sample.CONTAINERS), without=10)


@pytest.fixture
def sixty(tmp_path):
    """One folder with 60 JPEGs, new for each test."""
    folder = tmp_path / "served" / "d"
    folder.mkdir(parents=True)
    for number, shot in enumerate(sample.shots(60)):
        data = sample.jpeg(sample.tiff(shot), sample.drone_xmp(shot))
        (folder / f"DJI_{number:04}.JPG").write_bytes(data)
    return folder.parent
