"""`noria image`: the folders that images are built from."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from noria._version import __version__
from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.delivery.images.containerfiles import KNOWN_EXTRAS
from noria.registry.entities import Origin
from noria.registry.packages.signing import SigningKeys
from noria.serving.client import deploy
from support.packages import package_index, register_files, wheel

Command = Callable[..., str]

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Give a folder of wheels, as an index has them."""
    folder = tmp_path / "index-of-this-machine"
    folder.mkdir()
    for version in ("1.0", "1.1"):
        wheel(folder, "lib", version)
    return folder


@pytest.fixture
def workspace(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Give a workspace with two versions of a model, which need a distribution, and an index that has it."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.chdir(tmp_path)
    recorded = b"# CPython 3.11.7 on Linux\nlib==1.0\n"
    with package_index(wheels) as address, open_workspace(load_settings()) as found:
        monkeypatch.setenv("UV_DEFAULT_INDEX", address)
        origin = Origin(environment=found.objects().put_bytes(recorded).digest)
        for n in (1, 2):
            files = {"model.bin": bytes([n]), "requirements.txt": b"lib==1.0\n"}
            register_files(found, tmp_path / f"files-{n}", files, format="own", origin=origin)
        yield found


@pytest.fixture
def image(capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of `noria image`."""

    def call(*arguments: str, fails: bool = False) -> str:
        assert bool(main(["image", *arguments])) is fails
        captured = capsys.readouterr()
        return captured.err if fails else captured.out

    return call


def contents(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder."""
    return {
        str(place.relative_to(folder)): place.read_bytes() for place in folder.rglob("*") if place.is_file()
    }


def test_a_model_becomes_a_folder_that_holds_all_it_needs_and_nothing_of_this_machine(
    workspace: Workspace, image: Command, wheels: Path, tmp_path: Path
) -> None:
    """Its package, verified in the build, the lock with its wheels, and the key that signed it; alike each time."""
    made = json.loads(image("context", "iris@1", "--out", "one", "--wheels", str(wheels), "--json"))
    files = contents(tmp_path / "one")
    containerfile = files["Containerfile"].decode()
    assert f"noria packages verify /opt/noria-package@{made['package']}" in containerfile
    assert containerfile.index("COPY requirements.txt") < containerfile.index("COPY package/")
    assert files["requirements.txt"].startswith(b"lib==1.0 \\\n    --hash=sha256:")
    assert [name for name in files if name.endswith(".whl")] == ["wheels/lib-1.0-py3-none-any.whl"]
    trusted = tomllib.loads(files["noria.toml"].decode())["packages"]["trusted_keys"]
    assert list(trusted.values()) == [SigningKeys.of(workspace).public()]
    secret = (workspace.settings.folder / "signing_key.pem").read_bytes().splitlines()[1]
    for name, data in files.items():
        for own in (secret, str(tmp_path).encode(), b"127.0.0.1", os.environ["UV_DEFAULT_INDEX"].encode()):
            assert own not in data, (name, own)

    # A folder of an earlier context is written anew, and the same package gives the same bytes.
    image("context", made["package"], "--out", "two", "--wheels", str(wheels))
    assert contents(tmp_path / "two") == files
    image("context", "iris@2", "--out", "two")
    assert contents(tmp_path / "two")["noria.toml"] == files["noria.toml"]
    assert not list((tmp_path / "two" / "wheels").glob("*.whl"))
    for inside in (("./one/package",), ("iris@1", "--wheels", "one/wheels")):
        assert "which is emptied first" in image("context", *inside, "--out", "one", fails=True)
    assert contents(tmp_path / "one") == files


def test_an_endpoint_becomes_an_image_of_the_version_that_it_serves(
    workspace: Workspace, image: Command, tmp_path: Path
) -> None:
    """Under its own name; a model that no endpoint is called after gives its newest version."""
    deploy("iris@1", endpoint="web-shop", workspace=workspace)
    assert json.loads(image("context", "web-shop", "--out", "ctx", "--json"))["ref"] == "iris@1"
    assert '"--endpoint","web-shop"' in (tmp_path / "ctx" / "Containerfile").read_text()
    newest = json.loads(image("context", "iris", "--out", "ctx", "--endpoint", "own", "--json"))
    assert (newest["ref"], newest["endpoint"]) == ("iris@2", "own")


def test_the_base_is_described_with_extras_and_wheels(image: Command, wheels: Path, tmp_path: Path) -> None:
    """It installs this very version of Noria, and ends as a user who is not root."""
    told = image("base", "--out", str(tmp_path / "base"), "--wheels", str(wheels), "--extra", "s3")
    assert "python:3.11-slim" in told
    files = contents(tmp_path / "base")
    assert files["requirements.txt"].decode() == f"noria[s3]=={__version__}\n"
    assert "\nUSER 10001:10001\n" in files["Containerfile"].decode()
    assert len([name for name in files if name.endswith(".whl")]) == 2


def test_the_extras_are_those_of_the_project() -> None:
    """What `--extra` knows is what the project declares."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert sorted(declared) == list(KNOWN_EXTRAS)


REFUSED = [
    (("context", "iris@9", "--out", "ctx"), "`iris`", "noria models versions iris"),
    (("context", "iris@1", "--out", "held"), "which is of no earlier context", "--out"),
    (("context", "iris@1", "--out", "ctx", "--base", "a b"), "no reference of an image", "--base registry"),
    (("context", "iris@1", "--out", "ctx", "--wheels", "nowhere"), "There is no folder", "*.whl"),
    (("base", "--out", "ctx", "--extra", "postgre"), "no extra `postgre`", "`postgres`"),
    (("base", "--out", "ctx", "--python", "x;rm"), "no reference of an image", "--python registry"),
]


def test_what_no_image_can_be_made_of_is_refused_with_the_mend(
    workspace: Workspace, image: Command, tmp_path: Path
) -> None:
    """Also an incomplete lock, and pickles, which nothing in an image may load; what is not ours stays as it is."""
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "Containerfile").write_text("FROM scratch\n")
    register_files(workspace, tmp_path / "unknown", {"model.bin": b"4"}, name="unknown", format="own")
    told = b"flavors: {sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle}}\n"
    files = {"MLmodel": told, "model.pkl": b"4"}
    register_files(workspace, tmp_path / "pickled", files, name="pickled", format="mlflow")
    more = [
        (("context", "unknown@1", "--out", "ctx"), "lock is incomplete", "Build the package again"),
        (("context", "pickled@1", "--out", "ctx"), "runs pickles", "noria k8s render endpoint"),
    ]
    for arguments, said, mend in [*REFUSED, *more]:
        message, _, hint = image(*arguments, fails=True).partition("\n\nhint: ")
        assert said in message, message
        assert mend in hint, hint
    assert (tmp_path / "held" / "Containerfile").read_text() == "FROM scratch\n"
    assert not (tmp_path / "ctx").exists()
