"""The lock of a package: what the run recorded, for all platforms, and nothing of the machine that built it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.pylock import Pylock

from noria.core.errors import Invalid
from noria.registry.packages.errors import PackageInvalid
from noria.registry.packages.lock import locate, resolve_lock
from noria.registry.packages.pylock import Lock, Locked, LockedFile, read_lock
from noria.registry.packages.recorded import Recorded, read_pins
from support.packages import package_index, wheel

RECORDED = Recorded(python="3.11", pins={"lib": "1.0", "base": "2.0", "mine": None})


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of an index that holds newer releases than the run recorded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    folder = tmp_path / "wheels-of-this-machine"
    folder.mkdir()
    for version in ("1.0", "1.1"):
        wheel(folder, "lib", version, ("base>=1", 'only-windows; sys_platform == "win32"'))
    for version in ("2.0", "3.0"):
        wheel(folder, "base", version)
    wheel(folder, "only-windows", "5.0")
    return folder


def test_the_lock_has_the_recorded_versions_with_hashes_for_all_platforms(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer releases are passed over, other platforms are thought of, and no address or folder is named."""
    with package_index(index) as address:
        monkeypatch.setenv("UV_DEFAULT_INDEX", address)
        lock = resolve_lock({"lib": "1.0"}, RECORDED, tmp_path).lock

    assert lock.incomplete is None
    assert {each.name: each.version for each in lock.distributions} == {
        "lib": "1.0",
        "base": "2.0",
        "only-windows": "5.0",
    }
    text = lock.encode().decode()
    assert "://" not in text
    assert str(tmp_path) not in text
    assert "127.0.0.1" not in text
    # A second reader of such locks takes it, too.
    other = Pylock.from_dict(tomllib.loads(text))
    other.validate()
    assert all(wheel.hashes["sha256"] for package in other.packages for wheel in package.wheels or [])
    assert next(p for p in other.packages if p.name == "only-windows").marker is not None
    assert "lib==1.0 \\\n    --hash=sha256:" in lock.requirements()
    assert read_lock(lock.encode()) == lock


def test_a_lock_with_addresses_is_installed_by_pip_and_uv(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both install the very files that an index has; without addresses, those beside the lock; never other bytes."""
    with package_index(index) as address:
        monkeypatch.setenv("UV_DEFAULT_INDEX", address)
        lock = resolve_lock({"lib": "1.0"}, RECORDED, tmp_path).lock
        (tmp_path / "pylock.toml").write_bytes(locate(lock, tmp_path))
        assert read_lock((tmp_path / "pylock.toml").read_bytes()) == lock
        shutil.copytree(index, tmp_path / "beside" / "wheels")
        (tmp_path / "beside" / "pylock.toml").write_bytes(lock.encode())
        uv = [sys.executable, "-m", "uv", "pip", "sync", "--offline", "--target", str(tmp_path / "offline")]
        subprocess.run([*uv, "pylock.toml"], check=True, capture_output=True, cwd=tmp_path / "beside")
        assert (tmp_path / "offline" / "lib-1.0.dist-info").is_dir()
        for command in (["uv", "pip", "sync"], ["pip", "install", "-q", "--no-compile", "-r"]):
            target = tmp_path / command[0]
            subprocess.run(
                [sys.executable, "-m", *command, "pylock.toml", "--target", str(target)],
                check=True,
                capture_output=True,
            )
            assert {place.name for place in target.glob("*.dist-info")} == {
                "base-2.0.dist-info",
                "lib-1.0.dist-info",
            }
        wheel(index, "base", "2.0", ("lib",))
        with pytest.raises(Invalid, match=r"has a file of `base==2\.0`"):
            locate(lock, tmp_path)


@pytest.mark.parametrize(
    ("wanted", "recorded", "reason"),
    [
        ({"lib": "1.0"}, None, "no run recorded"),
        ({"mine": None}, RECORDED, "did not record a released version of `mine`"),
        ({"lib": "9.0"}, Recorded(python="3.11", pins={}), "is in no index"),
        ({"absent": "1.0"}, Recorded(python="3.11", pins={}), "`absent` is in no index"),
        ({"lib": "1.1"}, Recorded(python="3.11", pins={"base": "0.5"}), "do not go together"),
    ],
)
def test_a_lock_that_cannot_be_made_says_why(
    index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: dict[str, str | None],
    recorded: Recorded | None,
    reason: str,
) -> None:
    """It is marked, keeps what is known, names no place, and gives installers nothing to install."""
    with package_index(index) as address:
        monkeypatch.setenv("UV_DEFAULT_INDEX", address)
        lock = resolve_lock(wanted, recorded, tmp_path).lock

    assert lock.incomplete is not None
    assert reason in lock.incomplete
    assert "127.0.0.1" not in lock.encode().decode()
    assert read_lock(lock.encode()) == lock
    assert not Pylock.from_dict(tomllib.loads(lock.encode().decode())).packages
    with pytest.raises(Invalid, match="incomplete"):
        lock.requirements()


def test_an_index_out_of_reach_is_told(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names no address; what the resolver said is there for the person who builds."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    resolved = resolve_lock({"lib": "1.0"}, RECORDED, tmp_path)
    assert resolved.lock.incomplete == "no index of distributions could be reached"
    assert "127.0.0.1" in resolved.said


def test_what_is_no_lock_is_refused() -> None:
    """Broken TOML, another version, files without hashes or with names that lead elsewhere."""
    good = Lock(
        distributions=(Locked(name="a", version="1", wheels=(LockedFile(name="a-1.whl", sha256="0" * 64),)),)
    ).encode()
    assert read_lock(good).distributions
    for bad in (
        b"\xff",
        b"lock-version = ",
        b'lock-version = "2.0"\npackages = []\n',
        b'lock-version = "1.0"\n',
        good.replace(b'sha256 = "' + b"0" * 64, b'md5 = "' + b"0" * 32),
        good.replace(b"0" * 64, b"0" * 63),
        good.replace(b'name = "a-1.whl"', b'name = "../a\\u0000.whl"'),
        good.replace(b'name = "a"', b'name = "A B"'),
        b"packages = 3",
    ):
        with pytest.raises(PackageInvalid):
            read_lock(bad)


def test_requirements_of_others_give_only_what_is_pinned() -> None:
    """Extras and markers are left out; options, addresses and open ranges pin nothing."""
    text = (
        "A_b[x,y]==1.0 ; python_version > '3'\n--index-url http://evil\nc>=1\nd @ file:///d\n./e\n\n# f==1\n"
    )
    assert read_pins(text) == {"a-b": "1.0", "d": None}
