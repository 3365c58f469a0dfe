"""What starting Noria imports: a person waits for it at every command."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "alembic",
    "argon2",
    "asyncio",
    "blake3",
    "cryptography",
    "dbos",
    "granian",
    "httpx",
    "jinja2",
    "litestar",
    "msgspec",
    "numpy",
    "polars",
    "psutil",
    "psycopg",
    "pydantic",
    "rich",
    "scipy",
    "skops",
    "sklearn",
    "sqlalchemy",
    "typer",
}
NOT_FOR_LISTS = HEAVY - {"blake3", "msgspec", "rich", "sqlalchemy", "typer"}
"""What listing datasets of a local workspace has no use for."""


def imported_by(program: str) -> set[str]:
    """Run a program in a fresh process and give the top-level packages that it imported."""
    report = """
import json, sys
sys.stderr.write("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", program + report], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "program",
    [
        "import noria",
        "import noria, noria.cli.main",
        "from noria.cli.main import main; main(['--version'])",
        "from noria.cli.main import main; main(['--help'])",
        "from noria.cli.main import main; main([])",
    ],
)
def test_the_first_answer_imports_nothing_heavy(program: str) -> None:
    """Package, version and help come from the standard library alone."""
    assert imported_by(program) & HEAVY == set()


def test_a_list_imports_what_it_needs(tmp_path: object) -> None:
    """No web framework, no numbers, no workflow engine for a list on a workspace that is there already."""
    program = f"from noria.cli.main import main; main(['data', 'list', '-w', {str(tmp_path)!r} + '/w'])"
    imported_by(program)
    again = imported_by(program)

    assert again & NOT_FOR_LISTS == set()
    assert "sqlalchemy" in again


def test_what_sqlalchemy_goes_without_is_there_for_others(tmp_path: object) -> None:
    """Whoever asks for a module that the command line spared SQLAlchemy gets the module itself."""
    program = f"from noria.cli.main import main; main(['data', 'list', '-w', {str(tmp_path)!r} + '/w'])"
    check = """
import sys
assert not {"asyncio", "hashlib", "sqlalchemy.dialects.sqlite.aiosqlite"} & set(sys.modules)
import sqlalchemy.util.concurrency as used
from sqlalchemy.util.compat import md5_not_for_security
import hashlib
assert md5_not_for_security().name == hashlib.md5().name == "md5"
assert used.iscoroutine(3) is False and used.asyncio.Lock().locked() is False
from importlib import metadata
import asyncio, sqlalchemy
assert asyncio is sys.modules["asyncio"] and asyncio.run(asyncio.sleep(0, 3)) == 3
assert metadata.version("sqlalchemy") == sqlalchemy.__version__
assert sqlalchemy.dialects.sqlite.aiosqlite.dialect.driver == "aiosqlite"
assert type(sqlalchemy.__loader__) is type(asyncio.__loader__)
"""
    imported_by(program)

    assert imported_by(program + check)


def test_a_local_list_loads_one_dialect(tmp_path: object) -> None:
    """PostgreSQL's would cost a tenth of the command."""
    program = f"from noria.cli.main import main; main(['data', 'list', '-w', {str(tmp_path)!r} + '/w'])"
    check = "\nimport sys; assert 'sqlalchemy.dialects.postgresql' not in sys.modules"
    imported_by(program)

    assert imported_by(program + check)


def test_what_python_s_own_modules_go_without_is_there_for_others() -> None:
    """A class without words of its own, an archive, an address: each finds the module that it needs."""
    program = "from noria.cli.lean_imports import import_leanly; import_leanly()"
    check = """
import dataclasses, msgspec, shutil, sys, urllib.parse, uuid
absent = {"inspect", "textwrap", "typing_extensions", "bz2", "lzma", "ipaddress", "platform"}
assert not absent & set(sys.modules), absent & set(sys.modules)
@dataclasses.dataclass
class Silent:
    number: int = 3
assert Silent.__doc__ == "Silent(number: int = 3)"
import inspect, os, tempfile
assert str(inspect.signature(Silent)) == "(number: int = 3) -> None"
class Typed(msgspec.Struct):
    value: "list[int] | None"
assert msgspec.json.decode(b'{"value": [3]}', type=Typed).value == [3]
assert msgspec.json.schema(Typed)["$defs"]["Typed"]["required"] == ["value"]
with tempfile.TemporaryDirectory() as folder:
    os.mkdir(folder + "/in")
    open(folder + "/in/file", "w").close()
    for kind in ("bztar", "xztar"):
        made = shutil.make_archive(f"{folder}/{kind}", kind, folder + "/in")
        shutil.unpack_archive(made, f"{folder}/out-{kind}")
        assert os.listdir(f"{folder}/out-{kind}") == ["file"]
assert urllib.parse.urlsplit("http://[::1]:80/").hostname == "::1"
import platform, typing_extensions
assert platform.system() == os.uname().sysname and uuid._LINUX == (platform.system() == "Linux")
assert typing_extensions.get_type_hints(Typed) and inspect is sys.modules["inspect"]
"""
    assert imported_by(program + check)


def test_what_the_object_store_s_libraries_go_without_is_there_for_others() -> None:
    """Chunks are cut and compressed, and a callback that fails is told in the log, though it was not imported."""
    program = "from noria.cli.lean_imports import import_leanly; import_leanly()"
    check = """
import sys
import concurrent.futures, os, pyfastcdc, zstandard
assert not {"logging", "platform", "typing_extensions"} & set(sys.modules)
data = os.urandom(1 << 16)
assert b"".join(chunk.data for chunk in pyfastcdc.FastCDC(4096).cut_buf(data)) == data
assert zstandard.backend == "cext" and zstandard.decompress(zstandard.compress(data)) == data
with concurrent.futures.ThreadPoolExecutor(1) as pool:
    done = pool.submit(lambda: 3)
    assert done.result() == 3
import io, logging, platform
told = io.StringIO()
logging.getLogger("concurrent.futures").addHandler(logging.StreamHandler(told))
done.add_done_callback(lambda _: 1 / 0)
assert "ZeroDivisionError" in told.getvalue()
assert platform.python_implementation() == "CPython"
"""
    assert imported_by(program + check)


def test_what_typer_goes_without_is_there_for_others() -> None:
    """Help starts no program, and imports nothing that does; who starts one then has the usual module."""
    program = "from noria.cli.main import main; main(['data', '--help'])"
    check = """
import sys
assert not {"subprocess", "shellingham"} & set(sys.modules)
import platform, subprocess, typer.main
assert subprocess is sys.modules["subprocess"] and subprocess.run is typer.main.subprocess.run
assert subprocess.run([sys.executable, "-c", "print(3)"], capture_output=True).stdout == b"3\\n"
assert platform.libc_ver(sys.executable) is not None and platform.platform()
"""
    assert imported_by(program + check)
