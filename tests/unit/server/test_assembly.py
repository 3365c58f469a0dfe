"""The table of parts, and what the operations in it declare."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import noria
from noria.core.operations import Download, Operation, operations_of
from noria.core.permissions import Permission
from noria.core.web.actions import Action
from noria.core.web.pages import Page
from noria.core.web.urls import PREFERENCES_PATH, SIGN_IN_PATH
from noria.server.assembly import CONTROL, load_actions, load_control, load_pages, load_services
from noria.server.openapi import describe

SOURCE = Path(noria.__file__).parent
UPKEEP = "noria.server.upkeep"
"""What the loop runs of the server's own, over all capabilities."""
HEAVY = ("numpy", "scipy", "sklearn", "polars", "skops", "pandas", "pydantic", "rich")


def all_operations() -> list[Operation]:
    """List every operation that the server has."""
    return [operation for cls in load_services() for operation in operations_of(cls)]


def test_every_service_of_the_package_is_served() -> None:
    """A class of operations that is written somewhere in the package has its line in the table."""
    written = {
        getattr(importlib.import_module(module_of(path)), node.name)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Service" for base in node.bases)
    }

    assert {cls for cls in written if [*operations_of(cls)]} == set(load_services())


def module_of(path: Path) -> str:
    """Give the dotted name of a source file."""
    return f"noria.{'.'.join(path.relative_to(SOURCE).with_suffix('').parts)}"


def test_every_part_of_a_capability_is_controlled() -> None:
    """A capability's control functions have their line in the table."""
    found = {module_of(path) for path in SOURCE.rglob("control.py")} - {"noria.server.control"}

    assert found == {name for name in CONTROL if name != UPKEEP}


@pytest.mark.parametrize(
    ("name", "loaded"), [("PAGES", load_pages), ("ACTIONS", load_actions)], ids=["pages", "actions"]
)
def test_every_page_and_action_is_served(name: str, loaded: Callable[[], list[Any]]) -> None:
    """What any module of the package lists as pages or actions is found by way of the table, once."""
    modules = [
        importlib.import_module(module_of(path))
        for path in SOURCE.rglob("*.py")
        if path != SOURCE / "server" / "assembly.py"
        and re.search(rf"^{name}\b.* = ", path.read_text(), re.MULTILINE)
    ]
    listed = {
        id(each): each.path
        for module in modules
        for each in getattr(module, name)
        if isinstance(each, Page | Action)
    }
    served = [id(each) for each in loaded()]

    assert sorted(path for key, path in listed.items() if key not in served) == []
    assert len(served) == len(set(served))


def test_a_part_that_is_missing_stops_the_start() -> None:
    """A name that cannot be imported is an error, never a part that is silently absent."""
    with pytest.raises(ModuleNotFoundError, match=r"noria\.nowhere"):
        load_services(["noria.nowhere:Thing"])
    with pytest.raises(AttributeError, match="Nothing"):
        load_services(["noria.access.users:Nothing"])
    with pytest.raises(ModuleNotFoundError):
        load_control(["noria.nowhere.control"])


def test_the_server_loads_no_heavy_library() -> None:
    """Statistics, data frames and models stay in workers: importing all parts of the server loads none of them."""
    program = (
        "import sys, noria.server.process\n"
        "from noria.server.assembly import *\n"
        "load_services(); load_control(); load_pages(); load_adapters()\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_no_two_operations_share_an_address_or_a_name() -> None:
    """Each operation has its own method and path, whatever the parameters are called, and its own id."""
    operations = all_operations()
    ids = [operation.id for operation in operations]
    addresses = [
        (operation.declaration.method, _shape(operation.declaration.path)) for operation in operations
    ]

    assert sorted(ids) == sorted(set(ids))
    assert sorted(addresses) == sorted(set(addresses))


def _shape(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


def test_a_permission_means_the_same_wherever_it_is_named() -> None:
    """Two permissions of one name would let a narrow token do what it was not made for."""
    by_name: dict[str, set[Permission]] = {}
    for operation in all_operations():
        by_name.setdefault(operation.declaration.needs.name, set()).add(operation.declaration.needs)

    assert {name: found for name, found in by_name.items() if len(found) > 1} == {}


def test_only_the_sign_in_is_public() -> None:
    """No other operation answers somebody unknown."""
    assert [o.id for o in all_operations() if o.declaration.needs.public] == ["sessions.create"]


def test_what_is_asked_in_a_project_names_it_in_the_path() -> None:
    """The gate checks the role in the project of the path, so no body or query may choose another."""
    hidden = [o.id for o in all_operations() if "project" in o.query_parameters]

    assert hidden == []


def test_every_body_refuses_unknown_fields() -> None:
    """A misspelt field is an error and never silently ignored, at any depth.

    Below the top, what also stands in answers is let off: a client must be able to read a newer server's answer.
    """
    operations = all_operations()
    answered = set[type[msgspec.Struct]]().union(*(_structs(o.returns) for o in operations))
    lenient = {
        f"{operation.id}: {struct.__name__}"
        for operation in operations
        if operation.body_parameter is not None
        for body in [operation.parameters[operation.body_parameter].annotation]
        for struct in _structs(body)
        if struct is body or struct not in answered
        if not struct.__struct_config__.forbid_unknown_fields
    }

    assert lenient == set()


def _structs(type_: Any) -> set[type[msgspec.Struct]]:
    found: set[type[msgspec.Struct]] = set()

    def walk(node: Any) -> None:
        if isinstance(node, msgspec.inspect.StructType):
            if node.cls in found:
                return
            found.add(node.cls)
        if isinstance(node, msgspec.Struct):
            for name in node.__struct_fields__:
                walk(getattr(node, name))
        elif isinstance(node, (tuple, list)):
            for each in node:
                walk(each)

    if type_ is not Download:
        walk(msgspec.inspect.type_info(type_))
    return found


def test_every_query_parameter_can_be_left_out_and_sent() -> None:
    """A parameter takes None only if None is its default, since None has no form in an address."""
    broken = [
        f"{operation.id}: {name}"
        for operation in all_operations()
        for name in operation.query_parameters
        if operation.parameters[name].default is not None
        and _takes_none(operation.parameters[name].annotation)
    ]

    assert broken == []


def _takes_none(annotation: Any) -> bool:
    try:
        msgspec.convert(None, annotation)
    except msgspec.ValidationError:
        return False
    return True


def test_every_operation_is_documented() -> None:
    """The description of the API has a sentence for each operation and each service."""
    document = describe(load_services())
    described = [entry for path in document["paths"].values() for entry in path.values()]

    assert [entry["operationId"] for entry in described if not entry["summary"]] == []
    assert [tag["name"] for tag in document["tags"] if not tag["description"]] == []
    assert len(described) == len(all_operations())


def test_the_description_is_whole() -> None:
    """Every reference in the document leads somewhere, and every parameter of a path is described."""
    document = describe(load_services())
    text = msgspec.json.encode(document).decode()
    referred = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert referred <= set(document["components"]["schemas"])
    for path, entries in document["paths"].items():
        for entry in entries.values():
            named = {p["name"] for p in entry["parameters"] if p["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_downloads_and_uploads_are_described_as_bytes() -> None:
    """The description tells bytes from JSON."""
    document = describe(load_services())
    objects = document["paths"]["/api/v1/projects/{project}/objects"]["post"]
    download = document["paths"]["/api/v1/projects/{project}/objects/{digest}"]["get"]

    assert list(objects["requestBody"]["content"]) == ["application/octet-stream"]
    assert list(download["responses"]["200"]["content"]) == ["application/octet-stream"]
    assert download["x-noria-permission"]["name"] == "objects.read"


def test_pages_declare_their_permission() -> None:
    """Pages and actions say what their visitor must hold; who is unknown may sign in, and choose how pages look."""
    assert [page.path for page in load_pages() if page.needs.public] == [SIGN_IN_PATH]
    assert [action.path for action in load_actions() if action.needs.public] == [
        PREFERENCES_PATH,
        SIGN_IN_PATH,
    ]
