"""Push and pull through a registry of OCI: a real one, one that asks for a password, and ones that misbehave."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import pytest

from noria.core.errors import Forbidden, NoriaError, Unauthenticated, Unavailable
from noria.core.workspace import Workspace
from noria.registry.packages import client
from noria.registry.packages.credentials import Keychain
from noria.registry.packages.errors import (
    PackageAltered,
    PackageInvalid,
    PackageKeyForeign,
    PackageNotFound,
    PackageUnsigned,
)
from noria.registry.packages.opening import open_package
from support.other_side import other_side, say
from support.packages import FILES, blobs_of, open_packing, register_files
from support.registries import PASSWORD, USER, RegistryUnavailable, running_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a registry once, or skip with the reason (fail if `TEST_SERVICES=required`)."""
    folder = tmp_path_factory.mktemp("registry")
    try:
        with running_registry(folder) as host:
            yield host
    except RegistryUnavailable as reason:
        if os.environ.get("TEST_SERVICES") == "required":
            pytest.fail(f"A registry is required (TEST_SERVICES=required), but {reason}", pytrace=False)
        pytest.skip(f"No registry: {reason}")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace with a signed package of 9 MB, which is sent in more than one part, and an unsigned one."""
    root = tmp_path_factory.mktemp("workspace")
    with open_packing(root / "workspace") as found:
        register_files(found, root / "files", {**FILES, "large.bin": os.urandom(9 << 20)})
        client.build(found, "iris@1")
        register_files(found, root / "small", {"a": b"1"})
        client.build(found, "iris@2", sign=False)
        yield found


def test_a_package_goes_through_a_registry_and_keeps_its_digest(
    registry: str, workspace: Workspace, tmp_path: Path
) -> None:
    """Pushed twice, pulled by tag and by digest, opened, and the same bytes in another workspace's folder."""
    place = f"oci://{registry}/team/iris:1"
    digest = client.verify(workspace, "iris@1").digest
    for _ in range(2):
        client.send(workspace, "iris@1", place)

    told = client.fetch(workspace, place, tmp_path / "pulled")
    by_digest = client.fetch(workspace, f"oci://{registry}/team/iris@{digest}", tmp_path / "again")
    version, files = open_package(place, workspace, tmp_path / "cache")

    assert told.digest == by_digest.digest == digest
    assert len(told.attached) == 4
    assert version.ref == "iris@1"
    assert (files / "model.bin").read_bytes() == FILES["model.bin"]
    client.send(workspace, "iris@1", str(tmp_path / "folder"))
    assert blobs_of(tmp_path / "pulled", digest) == blobs_of(tmp_path / "folder", digest)
    with open_packing(tmp_path / "stranger") as stranger, pytest.raises(PackageKeyForeign):
        client.fetch(stranger, place, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_what_is_not_there_or_no_package_is_told(registry: str, workspace: Workspace, tmp_path: Path) -> None:
    """An unknown tag, an unsigned package, an image of somebody else, an altered blob."""
    with pytest.raises(PackageNotFound, match="has no package `9`"):
        client.fetch(workspace, f"oci://{registry}/team/absent:9", tmp_path / "none")
    client.send(workspace, "iris@2", f"oci://{registry}/team/unsigned:1")
    with pytest.raises(PackageUnsigned):
        client.fetch(workspace, f"oci://{registry}/team/unsigned:1", tmp_path / "none")

    client.send(workspace, "iris@1", f"oci://{registry}/team/other:1")
    base = f"http://{registry}/v2/team/other/manifests"
    found = httpx.get(f"{base}/1", headers={"accept": "application/vnd.oci.image.manifest.v1+json"})
    image = {**found.json(), "artifactType": "application/x-other"}
    headers = {"content-type": "application/vnd.oci.image.manifest.v1+json"}
    assert httpx.put(f"{base}/image", content=json.dumps(image), headers=headers).status_code == 201
    with pytest.raises(PackageInvalid, match="something else"):
        client.fetch(workspace, f"oci://{registry}/team/other:image", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_registry_that_asks_for_a_password_gets_it_from_where_clients_keep_it(
    registry: str, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is there, a wrong one, the right one."""
    del registry  # skipped where there is none
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with running_registry(tmp_path / "guarded", guarded=True) as host:
        place = f"oci://{host}/team/iris:1"
        with pytest.raises(Unauthenticated, match="who you are"):
            client.send(workspace, "iris@1", place)
        for password, refused in (("wrong", True), (PASSWORD, False)):
            auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
            (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
            if refused:
                with pytest.raises(Forbidden):
                    client.send(workspace, "iris@1", place)
            else:
                client.send(workspace, "iris@1", place)
        assert client.fetch(workspace, place, tmp_path / "pulled").model == "iris"
        helper(tmp_path / "docker-credential-vault", {host: {"Username": USER, "Secret": PASSWORD}})
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        for settings in (
            {"credsStore": "vault"},
            {"credHelpers": {host: "vault"}, "credsStore": "absent"},
            {"credHelpers": {f"https://{host}": "vault"}, "auths": {host: {"auth": "d3Jvbmc6eA=="}}},
        ):
            (tmp_path / "config.json").write_text(json.dumps(settings))
            client.send(workspace, "iris@1", place)
        for name, said in (("absent", "not installed"), ("vault", "has nothing"), ("a/b", "not installed")):
            helper(tmp_path / "docker-credential-vault", {})
            (tmp_path / "config.json").write_text(json.dumps({"credsStore": name}))
            with pytest.raises(Unauthenticated) as refused_by:
                client.send(workspace, "iris@1", place)
            assert said in (refused_by.value.hint or "")


def helper(place: Path, known: dict[str, dict[str, str]]) -> None:
    """Write a credential helper that knows some registries, as its protocol says."""
    place.write_text(
        f"#!{sys.executable}\nimport json, sys\nassert sys.argv[1:] == ['get']\n"
        f"known = {{key: {{**value, 'ServerURL': key}} for key, value in {known!r}.items()}}\n"
        "asked = sys.stdin.read().strip().rpartition('/')[2]\n"
        "print(json.dumps(known[asked]) if asked in known else 'credentials not found in native keychain')\n"
        "sys.exit(asked not in known)\n"
    )
    place.chmod(0o755)


def test_a_token_that_stands_for_a_password_is_exchanged(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes to the realm in a form, never to the registry itself, and is shown nowhere."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "POST":
            say(200, b'{"access_token": "abc"}')(handler)
        elif handler.headers.get("authorization") == "Bearer abc":
            say(404, b"{}")(handler)
        else:
            port = handler.server.server_address[1]  # type: ignore[index]
            realm = f'Bearer realm="http://127.0.0.1:{port}/token",service="here",scope="repository:a:pull"'
            say(401, b"{}", **{"www-authenticate": realm})(handler)

    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with other_side(answer) as side:
        host = f"127.0.0.1:{side.port}"
        helper(tmp_path / "docker-credential-vault", {host: {"Username": "<token>", "Secret": "s3cret"}})
        (tmp_path / "config.json").write_text(json.dumps({"credsStore": "vault"}))
        with pytest.raises(PackageNotFound):
            client.fetch(workspace, f"oci://{host}/a:1", tmp_path / "none")
        keychain = Keychain(host, os.environ)
        assert keychain.credentials is not None
        assert "s3cret" not in repr(keychain.credentials)
        method, path, _, body = side.requests[1]
    assert (method, path) == ("POST", "/token")
    assert dict(parse_qsl(body.decode())) == {
        "grant_type": "refresh_token",
        "client_id": "noria",
        "refresh_token": "s3cret",
        "service": "here",
        "scope": "repository:a:pull",
    }


def test_a_token_is_asked_for_where_the_registry_says(workspace: Workspace, tmp_path: Path) -> None:
    """The challenge's realm, service and scope are used, and the token goes with the call."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/token?service=here&scope=repository"):
            say(200, b'{"token": "abc"}')(handler)
        elif handler.headers.get("authorization") == "Bearer abc":
            say(404, b"{}")(handler)
        else:
            port = handler.server.server_address[1]  # type: ignore[index]
            realm = f'Bearer realm="http://127.0.0.1:{port}/token",service="here",scope="repository:a:pull"'
            say(401, b"{}", **{"www-authenticate": realm})(handler)

    with other_side(answer) as side:
        with pytest.raises(PackageNotFound):
            client.fetch(workspace, f"oci://127.0.0.1:{side.port}/a:1", tmp_path / "none")
        assert [path.partition("?")[0] for _, path, _, _ in side.requests] == [
            "/v2/a/manifests/1",
            "/token",
            "/v2/a/manifests/1",
        ]


@pytest.mark.parametrize(
    ("script", "reference", "kind"),
    [
        (say(500, b"oops"), ":1", Unavailable),
        (say(429, b'{"errors":[{"message":"slow down"}]}'), ":1", Unavailable),
        (say(200, b"not json"), ":1", PackageInvalid),
        (say(200, b'{"schemaVersion":2}'), ":1", PackageInvalid),
        (say(200, b"x" * (5 << 20)), ":1", PackageInvalid),
        (say(200, b"{}"), f"@sha256:{'0' * 64}", PackageAltered),
        (say(307, b"", location="http://169.254.169.254/latest"), ":1", Forbidden),
        (say(401, b"", **{"www-authenticate": "Negotiate"}), ":1", Unauthenticated),
    ],
)
def test_a_registry_that_misbehaves_is_refused(
    workspace: Workspace, tmp_path: Path, script: object, reference: str, kind: type[NoriaError]
) -> None:
    """Errors, garbage, endless manifests, other manifests than asked for, and ways into the machine's network."""
    with other_side(script) as side, pytest.raises(kind):  # type: ignore[arg-type]
        client.fetch(workspace, f"oci://127.0.0.1:{side.port}/a{reference}", tmp_path / "none")
    assert not (tmp_path / "none").exists()
