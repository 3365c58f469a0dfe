"""Build, verify and open packages on a folder, and refuse every one that is not what a trusted key signed."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer._key import SSlibKey

from noria.core.errors import ConfigInvalid, Forbidden, NoriaError
from noria.core.objects.archives import pack_folder
from noria.core.workspace import Workspace
from noria.registry.entities import Origin
from noria.registry.packages import client
from noria.registry.packages.entities import (
    BILL_TYPE,
    CARD_TYPE,
    PROVENANCE_TYPE,
    REPORT_TYPE,
    SIGNED_TYPE,
    NewPackage,
)
from noria.registry.packages.errors import (
    LockIncomplete,
    PackageAltered,
    PackageInvalid,
    PackageKeyForeign,
    PackageNotFound,
    PackageSignatureWrong,
    PackageUnsigned,
)
from noria.registry.packages.layout import Layout
from noria.registry.packages.opening import open_package
from noria.registry.packages.receiving import receive_package
from noria.registry.packages.service import Packages
from noria.registry.packages.signing import KEY_FILE, SigningKeys, encoded, key_id, open_envelope
from noria.registry.service import Models
from noria.registry.validation.entities import NewReport
from noria.registry.validation.service import Validations
from support.packages import FILES, blobs_of, open_packing, register_files, rewrite_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A package in a folder, and the workspace that made it."""

    workspace: Workspace
    folder: Path
    digest: str


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packed]:
    """Build one package with code, a report and odd files, from which tests take copies."""
    root = tmp_path_factory.mktemp("packed")
    code = root / "code"
    (code / "team").mkdir(parents=True)
    (code / "team" / "features.py").write_text("ONE = 1\n")
    with open_packing(root / "workspace") as workspace:
        snapshot = workspace.objects().put(pack_folder(code)).digest
        register_files(workspace, root / "files", origin=Origin(snapshot=snapshot, params={"depth": 3}))
        package, _ = client.build(workspace, "iris@1", to=root / "layout", report=b'{"passed":true}')
        yield Packed(workspace=workspace, folder=root / "layout", digest=package.digest)


@pytest.fixture
def copy(packed: Packed, tmp_path: Path) -> Packed:
    """Give a copy that may be spoiled."""
    shutil.copytree(packed.folder, tmp_path / "copy")
    return Packed(workspace=packed.workspace, folder=tmp_path / "copy", digest=packed.digest)


def documents(folder: Path, kind: str) -> list[bytes]:
    layout = Layout.open(folder)
    found = [manifest for _, manifest in layout.referrers(layout.package().digest)]
    return [layout.read(each.layers[0], 1 << 20) for each in found if each.artifact_type == kind]


def test_a_package_opens_to_the_very_files_with_code_and_what_is_told(packed: Packed, tmp_path: Path) -> None:
    """From a folder and from the workspace: files, code beside them, version, origin and metrics."""
    for reference in (str(packed.folder), "iris@1", packed.digest):
        version, files = open_package(reference, packed.workspace, tmp_path / "cache")
        registered = packed.workspace.service(Models).version("default", "iris", 1)
        assert (version.ref, version.digest, version.id) == ("iris@1", registered.digest, registered.id)
        assert version.signature == registered.signature
        assert version.origin.params == {"depth": 3}
        assert version.metrics == {"accuracy": 0.5}
        assert {
            p.relative_to(files).as_posix(): p.read_bytes() for p in files.rglob("*") if p.is_file()
        } == FILES
        assert (files.parent / "code" / "team" / "features.py").read_text() == "ONE = 1\n"


def test_what_is_attached_is_read_by_tools_of_others(packed: Packed) -> None:
    """The bill fits CycloneDX's schema; signature and provenance verify as DSSE of another library."""
    # Seconds of parsing grammars, which every process that collects tests would do.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    [bill], [report], [card] = (
        documents(packed.folder, kind) for kind in (BILL_TYPE, REPORT_TYPE, CARD_TYPE)
    )
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.decode()) is None
    assert json.loads(bill)["metadata"]["component"]["type"] == "machine-learning-model"
    assert report == b'{"passed":true}'
    assert b"depth=3" in card
    public = SigningKeys.of(packed.workspace).public()
    raw = base64.b64decode(public.removeprefix("ed25519:")).hex()
    key = SSlibKey(key_id(public), "ed25519", "ed25519", {"public": raw})
    for kind in (SIGNED_TYPE, PROVENANCE_TYPE):
        [envelope] = documents(packed.folder, kind)
        other = Envelope.from_dict(json.loads(envelope))
        assert list(other.verify([key], threshold=1)) == [key.keyid]
    statement = json.loads(other.payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0]["digest"]["sha256"] == packed.digest.removeprefix("sha256:")
    names = {
        each["name"]: each.get("digest", {})
        for each in statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    assert set(names) == {"files", "code"}
    assert set(names["code"]) == {"blake3"}


def test_two_folders_pack_the_same_inputs_to_the_same_bytes(packed: Packed, tmp_path: Path) -> None:
    """Another workspace, key, number of the version, time and message: every byte under the digest is the same."""
    code = tmp_path / "elsewhere"
    (code / "team").mkdir(parents=True)
    (code / "team" / "features.py").write_text("ONE = 1\n")
    os.utime(code / "team" / "features.py", (1, 1))
    with open_packing(tmp_path / "deep" / "workspace") as workspace:
        snapshot = workspace.objects().put(pack_folder(code)).digest
        register_files(workspace, tmp_path / "first", {"other": b"1"})
        register_files(
            workspace,
            tmp_path / "second",
            message="retrained",
            origin=Origin(snapshot=snapshot, dataset="x@1"),
        )
        package, _ = client.build(workspace, "iris@2", to=tmp_path / "layout")
        assert SigningKeys.of(workspace).public() != SigningKeys.of(packed.workspace).public()
    assert package.digest == packed.digest
    assert blobs_of(tmp_path / "layout", package.digest) == blobs_of(packed.folder, packed.digest)


def flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def blob(packed: Packed, title: str) -> Path:
    layout = Layout.open(packed.folder)
    layer = next(each for each in layout.manifest(layout.package()).layers if each.title == title)
    return packed.folder / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def link(path: Path) -> None:
    moved = path.with_name("moved")
    path.rename(moved)
    path.symlink_to(moved)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [flip, grow, link, pipe, Path.unlink])
@pytest.mark.parametrize("title", ["model/model.bin", "pylock.toml", "signature.json", "code.tar"])
def test_altered_bytes_are_refused(
    copy: Packed, tmp_path: Path, title: str, spoil: Callable[[Path], Any]
) -> None:
    """A bit, a byte more, a link, a pipe or nothing in the place of a file; nothing is left where it was laid out."""
    spoil(blob(copy, title))
    with pytest.raises(PackageAltered):
        client.verify(copy.workspace, str(copy.folder))
    with pytest.raises(PackageAltered):
        open_package(str(copy.folder), copy.workspace, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*/model"))


def swap_titles(manifest: dict[str, Any]) -> None:
    manifest["layers"][0]["annotations"] = {"org.opencontainers.image.title": "model/../../evil"}


@pytest.mark.parametrize(
    "change",
    [
        swap_titles,
        lambda manifest: manifest["layers"].pop(),
        lambda manifest: manifest.update(annotations={"a": "b"}),
        lambda manifest: manifest["config"].update(size=1),
    ],
)
def test_a_manifest_that_was_changed_is_not_the_one_that_was_signed(
    copy: Packed, change: Callable[[Any], Any]
) -> None:
    """Whoever names it by its new digest has no signature over it."""
    rewrite_manifest(copy.folder, copy.digest, change)
    with pytest.raises(PackageUnsigned):
        client.verify(copy.workspace, str(copy.folder))


def forge(packed: Packed, change: Callable[[Any], Any]) -> None:
    """Change the manifest and sign it with the trusted key: what is left is the form alone."""
    fresh = rewrite_manifest(packed.folder, packed.digest, change)
    layout = Layout.open(packed.folder)
    from noria.registry.packages.build import sign_package

    sign_package(layout, layout.package(fresh), SigningKeys.of(packed.workspace))


def set_title(title: str) -> Callable[[Any], None]:
    return lambda manifest: manifest["layers"][2]["annotations"].update(
        {"org.opencontainers.image.title": title}
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_title("model/../../etc/evil"), "not allowed"),
        (set_title("/etc/evil"), "not allowed"),
        (set_title("elsewhere/x"), "which it is not"),
        (set_title("model/profile.json"), "twice"),
        (set_title("model/renamed"), "not those of the version"),
        (lambda m: m["layers"][1].update(size=1 << 60), "the limit is"),
        (lambda m: m["layers"].extend([m["layers"][1]] * 1_000), "the limit is"),
        (lambda m: m.update(layers=[x for x in m["layers"] if "pylock" not in str(x)]), "no `pylock.toml`"),
        (lambda m: m.update(layers=[x for x in m["layers"] if "code" not in str(x)]), "code of the package"),
        (lambda m: m["config"].update(mediaType="application/vnd.oci.image.config.v1+json"), "no package"),
        (
            lambda m: m.update(config=dict(m["layers"][0], mediaType=m["config"]["mediaType"])),
            "cannot be read",
        ),
    ],
)
def test_a_form_that_leads_astray_is_refused_even_when_signed(
    copy: Packed, tmp_path: Path, change: Callable[[Any], Any], said: str
) -> None:
    """Traversal, files twice, bombs by size and by number, missing parts, another kind of artifact."""
    forge(copy, change)
    for attempt in (
        lambda: client.verify(copy.workspace, str(copy.folder)),
        lambda: open_package(str(copy.folder), copy.workspace, tmp_path / "cache"),
    ):
        with pytest.raises(NoriaError, match=said):
            attempt()
    assert not list(tmp_path.rglob("evil"))


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    """A ZIP file of kilobytes that declares megabytes, in a workspace that takes one megabyte."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", b"\0" * 3_000_000)
    with open_packing(tmp_path / "workspace", largest_gb=0.001) as workspace:
        register_files(workspace, tmp_path / "files", {"golden.npz": bomb.getvalue()})
        client.build(workspace, "iris@1", to=tmp_path / "layout")
        for attempt in (
            lambda: client.verify(workspace, str(tmp_path / "layout")),
            lambda: open_package("iris@1", workspace, tmp_path / "cache"),
        ):
            with pytest.raises(PackageInvalid, match="unpacks to 3000000 bytes"):
                attempt()


def test_strangers_and_nobody_are_told_apart(copy: Packed, tmp_path: Path) -> None:
    """A foreign key with its name, a name that is trusted over a wrong signature, no signature at all."""
    with open_packing(tmp_path / "stranger") as stranger:
        with pytest.raises(
            PackageKeyForeign, match=key_id(SigningKeys.of(copy.workspace).public())
        ) as raised:
            client.verify(stranger, str(copy.folder))
        assert "noria packages keys" in str(raised.value.hint)
        public = SigningKeys.of(copy.workspace).public()
    with open_packing(tmp_path / "stranger", trusted_keys={"team": public}) as friend:
        assert client.verify(friend, str(copy.folder)).signed_by == "team"
        # A further signature by somebody unknown takes nothing away.
        layout = Layout.open(copy.folder)
        unknown = SigningKeys(tmp_path / "unknown.pem", {})
        layout.attach(layout.package(), unknown.seal(b"x", "y"), SIGNED_TYPE, title="z")
        assert client.verify(friend, str(copy.folder)).signed_by == "team"
    index = json.loads((copy.folder / "index.json").read_bytes())
    index["manifests"] = [each for each in index["manifests"] if each.get("artifactType") != SIGNED_TYPE]
    (copy.folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(PackageUnsigned):
        client.verify(copy.workspace, str(copy.folder))
    client.sign(copy.workspace, str(copy.folder))
    assert client.verify(copy.workspace, str(copy.folder)).signed_by == "this workspace"


def test_a_good_signature_over_another_package_is_refused(copy: Packed, tmp_path: Path) -> None:
    """The envelope of one package, attached to another one that the attacker made."""
    [envelope] = documents(copy.folder, SIGNED_TYPE)
    fresh = rewrite_manifest(copy.folder, copy.digest, lambda manifest: manifest["layers"].pop())
    layout = Layout.open(copy.folder)
    layout.attach(layout.package(fresh), envelope, SIGNED_TYPE, title="package.dsse.json")
    with pytest.raises(PackageAltered, match="over another package"):
        client.verify(copy.workspace, str(copy.folder))


def test_an_envelope_binds_payload_type_and_key(tmp_path: Path) -> None:
    """Changed payloads and types fail, whatever key they name; garbage is no envelope."""
    keys = SigningKeys(tmp_path / KEY_FILE, {})
    trusted = {"own": keys.public()}
    sealed = json.loads(keys.seal(b"payload", "type"))
    assert open_envelope(json.dumps(sealed).encode(), trusted, "it").payload == b"payload"
    for change in ({"payload": base64.b64encode(b"other").decode()}, {"payloadType": "other"}):
        with pytest.raises(PackageSignatureWrong):
            open_envelope(json.dumps({**sealed, **change}).encode(), trusted, "it")
    for garbage in (b"", b"{}", b"[1]", json.dumps({**sealed, "payload": "!"}).encode()):
        with pytest.raises(PackageInvalid):
            open_envelope(garbage, trusted, "it")
    with pytest.raises(PackageKeyForeign):
        open_envelope(json.dumps({**sealed, "signatures": []}).encode(), trusted, "it")
    assert encoded("ä".encode(), "ü") == "DSSEv1 2 ü 2 ä".encode()


def test_the_private_key_is_its_owners_alone(tmp_path: Path) -> None:
    """It is made once, readable by its owner, and refused when others can read it or it is no key."""
    keys = SigningKeys(tmp_path / KEY_FILE, {})
    public = keys.public()
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert SigningKeys(tmp_path / KEY_FILE, {}).public() == public
    with pytest.raises(ConfigInvalid, match="`bad`"):
        SigningKeys(tmp_path / KEY_FILE, {"bad": "ed25519:AAAA"}).trusted()
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(Forbidden, match="can be read by others"):
        keys.public()
    (tmp_path / KEY_FILE).chmod(0o600)
    (tmp_path / KEY_FILE).write_text("nonsense")
    with pytest.raises(ConfigInvalid):
        keys.public()


def test_an_incomplete_lock_can_be_refused(packed: Packed, tmp_path: Path) -> None:
    """Nobody recorded what was installed, so the lock says so; the settings decide whether that is enough."""
    assert client.verify(packed.workspace, str(packed.folder)).lock_incomplete is not None
    trusted = {"team": SigningKeys.of(packed.workspace).public()}
    with (
        open_packing(tmp_path / "strict", trusted_keys=trusted, complete_lock=True) as strict,
        pytest.raises(LockIncomplete, match="no run recorded"),
    ):
        client.verify(strict, str(packed.folder))


def test_the_workspace_keeps_lists_and_lets_go_of_packages(tmp_path: Path) -> None:
    """A package is kept once, found by digest and version, and gone with its version; others' files are no package."""
    with open_packing(tmp_path / "workspace") as workspace:
        packages = workspace.service(Packages)
        register_files(workspace, tmp_path / "one")
        other = register_files(workspace, tmp_path / "two", {"a": b"2"}, name="other")
        first, _ = client.build(workspace, "iris@1", sign=False)
        again, _ = client.build(workspace, "iris@1")
        assert (first.id, first.key_id) == (again.id, None)
        assert again.key_id == key_id(SigningKeys.of(workspace).public())
        assert client.build(workspace, "iris@1", sign=False)[0] == again
        client.build(workspace, "other@1")
        assert [each.ref for each in packages.list("default").items] == ["other@1", "iris@1"]
        assert [each.ref for each in packages.list("default", model="iris").items] == ["iris@1"]
        page = packages.list("default", limit=1)
        assert [each.ref for each in packages.list("default", before=page.next).items] == ["iris@1"]
        with pytest.raises(PackageInvalid, match="other files than `other@1`"):
            packages.keep(
                "default", "other", other.version, NewPackage(digest=again.digest, layout=again.layout)
            )
        from noria.registry.versions import ModelVersions

        workspace.service(ModelVersions).delete("default", "iris", 1)
        assert [each.ref for each in packages.list("default").items] == ["other@1"]
        with pytest.raises(PackageNotFound):
            packages.get("default", again.digest)


def test_a_difference_names_files_configuration_and_distributions(packed: Packed, tmp_path: Path) -> None:
    """What one package has and the other has not; the same package has none."""
    assert client.difference(packed.workspace, "iris@1", str(packed.folder)).same
    with open_packing(tmp_path / "workspace") as workspace:
        register_files(workspace, tmp_path / "files", {**FILES, "model.bin": b"new"})
        client.build(workspace, "iris@1", to=tmp_path / "layout")
        found = client.difference(workspace, str(packed.folder), str(tmp_path / "layout"))
    assert [
        (each.path, each.before, each.after) for each in found.files if each.path.startswith("model/")
    ] == [("model/model.bin", 16_000, 3)]
    assert {"files", "code"} <= set(found.config)
    assert found.distributions == {}


def test_a_package_is_taken_in_once_and_served_only_when_verified(copy: Packed, tmp_path: Path) -> None:
    """Files, metrics and params arrive, the package keeps its digest, and an altered one leaves nothing behind."""
    trusted = {"team": SigningKeys.of(copy.workspace).public()}
    with open_packing(tmp_path / "production", trusted_keys=trusted) as production:
        register_files(production, tmp_path / "others", {"a": b"1"})
        assert receive_package(production, str(copy.folder))[0].ref == "iris@2"
        version, package = receive_package(production, str(copy.folder))
        registered = copy.workspace.service(Models).version("default", "iris", 1)
        assert (version.ref, version.digest, package.digest) == ("iris@2", registered.digest, copy.digest)
        assert (version.metrics, version.origin.params) == ({"accuracy": 0.5}, {"depth": 3})
        assert client.verify(production, "iris@2").signed_by == "team"
        flip(blob(copy, "model/model.bin"))
        with pytest.raises(PackageAltered):
            receive_package(production, str(copy.folder))
        assert len(production.service(Models).versions("default", "iris").items) == 2
    with open_packing(tmp_path / "stranger") as stranger:
        with pytest.raises(PackageKeyForeign):
            receive_package(stranger, str(copy.folder))
        assert not stranger.service(Models).list("default").items


def test_the_newest_report_of_the_validation_goes_along(tmp_path: Path) -> None:
    """It is attached when the package is built, so whoever gets the package can read it."""
    with open_packing(tmp_path / "workspace") as workspace:
        version = register_files(workspace, tmp_path / "files")
        assert version.digest is not None
        new = NewReport(digest=version.digest, engine="native", made_up=True, n_rows=0, checks=[])
        report = workspace.service(Validations).record("default", "iris", 1, new)
        client.build(workspace, "iris@1", to=tmp_path / "layout")
    [attached] = documents(tmp_path / "layout", REPORT_TYPE)
    assert json.loads(attached)["id"] == report.id
