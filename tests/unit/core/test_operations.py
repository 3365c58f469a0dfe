"""Declarations of operations, and the rules that are checked when a class is read."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from noria.core.errors import TooLarge
from noria.core.operations import Download, Method, Service, Upload, operation, operations_of
from noria.core.permissions import Permission
from noria.core.remote import HttpTransport, remote_service
from support.everything import import_everything, subclasses_of

READ = Permission(name="things.read")


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    n: int


class Colour(enum.StrEnum):
    RED = "red"


class OddThings(Service):
    @operation("GET", "/projects/{project}/things/{number}", needs=READ)
    def get(
        self, project: str, number: int, colour: Colour | None = None, since: datetime | None = None
    ) -> Thing:
        """Get a thing.

        And more.
        """
        raise NotImplementedError

    @operation("POST", "/projects/{project}/things", needs=READ)
    def create(self, project: str, new: Thing, dry: bool = False, tags: list[str] | None = None) -> Thing:
        """Make a thing."""
        raise NotImplementedError

    @operation("PUT", "/projects/{project}/things", needs=READ)
    def replace(self, project: str, things: list[Thing]) -> None:
        """Replace all."""

    @operation("POST", "/projects/{project}/bytes", needs=READ, status=200)
    def upload(self, project: str, body: Upload, digest: str = "") -> None:
        """Take bytes."""

    def not_an_operation(self) -> None:
        """Is not listed."""


def test_what_is_declared_is_read() -> None:
    """Names, places of parameters, body, status, types and documentation, in the order of writing."""
    get, create, replace, upload = operations_of(OddThings)

    assert (get.id, create.id) == ("odd-things.get", "odd-things.create")
    assert get.path_parameters == ("project", "number")
    assert get.query_parameters == ("colour", "since")
    assert (get.body_parameter, create.body_parameter, replace.body_parameter) == (None, "new", "things")
    assert create.query_parameters == ("dry", "tags")
    assert (upload.upload_parameter, upload.query_parameters) == ("body", ("digest",))
    assert [found.declaration.status for found in (get, create, replace, upload)] == [200, 201, 200, 200]
    assert get.returns is Thing
    assert get.parameters["number"].annotation is int
    assert get.doc == "Get a thing.\n\nAnd more."


def no_such_parameter(self: Any) -> None: ...
def two_bodies(self: Any, a: Thing, b: Thing) -> None: ...
def body_and_upload(self: Any, a: Thing, b: Upload) -> None: ...
def body(self: Any, a: Thing) -> None: ...
def no_default(self: Any, limit: int) -> None: ...
def float_in_path(self: Any, size: float) -> None: ...
def dict_in_query(self: Any, extra: dict[str, Any] | None = None) -> None: ...
def place_in_query(self: Any, place: Path | None = None) -> None: ...


@pytest.mark.parametrize(
    ("method", "path", "function", "said"),
    [
        ("GET", "/things/{id}", no_such_parameter, "the path names `id`"),
        ("POST", "/things", two_bodies, "only one of a, b"),
        ("POST", "/things", body_and_upload, "only one of"),
        ("GET", "/things", body, "GET has no body, but `a` is one"),
        ("DELETE", "/things", body, "DELETE has no body, but `a` is one"),
        ("GET", "/things", no_default, "`limit` has no default"),
        ("GET", "/things/{size}", float_in_path, "`size` is neither"),
        ("GET", "/things", dict_in_query, "`extra` has a type"),
        ("GET", "/things", place_in_query, "`place` has a type"),
    ],
)
def test_a_declaration_that_breaks_a_rule_is_refused(
    method: Method, path: str, function: Callable[..., None], said: str
) -> None:
    """Before any route is made; the message names class, method and parameter."""
    declared = operation(method, path, needs=READ)(function)
    cls = type("Broken", (Service,), {"get": declared})
    with pytest.raises(TypeError, match=rf"Broken\.get: .*{said}"):
        operations_of(cls)


class TestAllServices:
    """The declarations of every room."""

    def services(self) -> list[type[Service]]:
        import_everything()
        return sorted(set(subclasses_of(Service)), key=lambda cls: cls.__name__)

    def test_every_service_follows_the_rules_and_documents_its_operations(self) -> None:
        """Nothing is declared that could not be served, and each operation has a sentence."""
        services = self.services()
        found = [found for cls in services for found in operations_of(cls)]

        assert len(services) >= 10
        assert [each.id for each in found if not each.doc] == []
        assert len({each.id for each in found}) == len(found)

    def test_no_two_operations_share_a_route(self) -> None:
        """Method and path are one operation's own, whatever their parameters are called."""
        routes: dict[tuple[str, str], str] = {}
        for cls in self.services():
            for found in operations_of(cls):
                declared = found.declaration
                route = (declared.method, re.sub(r"\{\w+\}", "{}", declared.path))
                assert route not in routes, f"{found.id} and {routes[route]} share {route}"
                routes[route] = found.id

    def test_clients_of_services_are_no_services(self) -> None:
        """What a client was made for before, in the same process, changes nothing."""
        before = self.services()

        transport = HttpTransport("http://127.0.0.1:9")
        remote_service(before[0], transport)
        transport.close()

        assert self.services() == before

    def test_what_writes_needs_more_than_a_viewer(self) -> None:
        """An operation that changes something is not a viewer's, unless everyone has it for themselves."""
        harmless = {
            "objects.fetch",
            "objects.missing",
            "runs.search",
        }  # questions that are too long for an address
        for cls in self.services():
            for found in operations_of(cls):
                needs = found.declaration.needs
                if found.declaration.method == "GET" or found.id in harmless:
                    continue
                assert needs.role != "viewer" or needs.roleless or needs.public, found.id


class TestDownload:
    """A raw answer."""

    def test_chunks_are_gathered(self) -> None:
        """In their order."""
        assert Download(chunks=iter([b"ab", b"", b"c"])).read() == b"abc"

    def test_too_much_is_refused(self) -> None:
        """As soon as the limit is passed, not when all is read."""

        def endless() -> Any:
            while True:
                yield b"x" * 100

        with pytest.raises(TooLarge, match="1000"):
            Download(chunks=endless()).read(limit_bytes=1000)
