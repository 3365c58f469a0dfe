"""`noria packages`, as a person and as a program use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from support.packages import register_files

Command = Callable[..., str]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of the command line on a workspace with two versions of a model."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    with open_workspace(load_settings()) as workspace:
        for n in (1, 2):
            register_files(workspace, tmp_path / f"files-{n}", {"model.bin": bytes([n]), "same": b"s"})

    def call(*arguments: str, fails: bool = False) -> str:
        assert bool(main(["packages", *arguments])) is fails
        captured = capsys.readouterr()
        return captured.err if fails else captured.out

    return call


def test_a_package_is_built_shown_moved_and_compared(command: Command, tmp_path: Path) -> None:
    """From building to another folder, for people and for programs."""
    built = json.loads(command("build", "iris@1", "--to", "one", "--json"))
    assert built["digest"] in command("build", "iris@1")
    command("build", "iris@2")
    assert [each["version"] for each in json.loads(command("list", "--json"))["items"]] == [2, 1]
    assert "iris@2" in command("list", "iris")

    shown = json.loads(command("show", "one", "--json"))
    assert {"model/model.bin", "pylock.toml", "signature.json", "MODEL_CARD.md", "bom.cdx.json"} <= {
        part["annotations"]["org.opencontainers.image.title"] for part in shown["parts"]
    }
    assert "model/model.bin" in command("show", built["digest"])
    assert "this workspace" in command("verify", "./one")

    assert json.loads(command("push", "iris@1", "./two", "--json"))["digest"] == built["digest"]
    assert json.loads(command("pull", "./two", "./three", "--json"))["digest"] == built["digest"]
    assert "same package" in command("diff", "three", "iris@1")
    assert "model/model.bin" in command("diff", "iris@1", "iris@2")
    assert json.loads(command("diff", "iris@1", "iris@2", "--json"))["config"].keys() == {"files"}
    assert 'incomplete = "no run recorded' in command("lock", "one")
    assert "error: The lock is incomplete" in command("lock", "one", "--requirements", fails=True)


def test_keys_are_shown_and_trusted_by_the_settings(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one workspace prints makes another one trust its packages, and nothing else does."""
    command("build", "iris@1", "--unsigned", "--to", "one")
    assert "hint: Let whoever built it sign it" in command("verify", "./one", fails=True)
    key = json.loads(command("sign", "./one", "--json"))["key_id"]
    [own] = json.loads(command("keys", "--json"))["keys"]
    assert own["key_id"] == key
    assert own["public"] in command("keys")

    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "elsewhere"))
    assert f"by the key `{key}`, which this workspace does not trust" in command(
        "verify", "./one", fails=True
    )
    (tmp_path / "noria.toml").write_text(f'[packages.trusted_keys]\nteam = "{own["public"]}"\n')
    assert f"team ({key})" in command("verify", "./one")
    (tmp_path / "noria.toml").write_text('[packages.trusted_keys]\nteam = "ssh-ed25519 AAAA"\n')
    assert "The trusted key `team` is not a public key" in command("verify", "./one", fails=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("build", "absent"), "There is no model `absent`"),
        (("build", "iris@9"), "has no version 9"),
        (("verify", "iris@2"), "Build it: `noria packages build iris@2`"),
        (("verify", "./absent"), "holds no package"),
        (("verify", "sha256:" + "0" * 64), "holds no package"),
        (("verify", "oci://UPPER/Case"), "no repository"),
        (("verify", "oci://host:99999999/a"), "no host"),
        (("verify", "oci://host/a@sha256:12"), "no digest"),
        (("verify", f"iris@sha256:{'0' * 64}"), "names no package"),
        (("push", "iris@1", "somewhere"), "no place to push"),
        (("sign", "oci://host/a:1"), "is in a registry"),
        (("pull", "iris@1", "files-1"), "No package of `iris@1` was built"),
    ],
)
def test_what_cannot_be_done_is_told_with_the_mend(
    command: Command, arguments: tuple[str, ...], said: str
) -> None:
    """Names that nothing has, places that are none, folders that hold other things."""
    assert said in command(*arguments, fails=True)


def test_a_folder_with_other_things_is_not_written_to(command: Command, tmp_path: Path) -> None:
    """Neither by building nor by pulling."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    assert "holds other things" in command("build", "iris@1", "--to", "full", fails=True)
    assert "holds other things" in command("pull", "iris@1", "full", fails=True)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]
