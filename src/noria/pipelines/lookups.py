"""What compiled code looks up: global names with the attributes after them, imports, and what it sets.

Read from the instructions, which know local from global names; the syntax tree alone does not.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterator
from types import CodeType
from typing import Any

import msgspec

_SKIPPED = frozenset({"CACHE", "PUSH_NULL", "EXTENDED_ARG", "NOP", "RESUME", "COPY_FREE_VARS"})
_SETTING = frozenset({dis.opmap["STORE_ATTR"], dis.opmap["DELETE_ATTR"]})


class Names(msgspec.Struct, frozen=True):
    """What a function's code looks up, read from its instructions.

    Attributes
    ----------
    chains
        `helpers.load` as `("helpers", "load")`, from a global name on.
    imports
        Module, level and names of each import statement inside.
    attributes
        Every attribute looked up on anything.
    assigned
        Global variables that it sets.
    rebound
        Variables of functions around it that it sets.
    patched
        Attributes that it sets on what a global name stands for.
    texts
        Texts among its constants.
    """

    chains: frozenset[tuple[str, ...]]
    imports: frozenset[tuple[str, int, tuple[str, ...]]]
    attributes: frozenset[str]
    assigned: frozenset[str]
    rebound: frozenset[str]
    patched: frozenset[tuple[str, ...]]
    texts: frozenset[str]


@functools.lru_cache(maxsize=4096)
def names_of(code: CodeType) -> Names:
    """Read what code looks up, with the functions and classes that it defines inside."""
    listed = _listed(code)
    inner = [names_of(const) for const in code.co_consts if isinstance(const, CodeType)]
    chains, patched = _chains(listed)
    own = Names(
        chains=frozenset(chains),
        imports=frozenset(_imports(listed)),
        attributes=frozenset(i.argval for i in listed if i.opname in ("LOAD_ATTR", "LOAD_METHOD")),
        assigned=frozenset(i.argval for i in listed if i.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")),
        rebound=frozenset(_rebound(listed, code)),
        patched=frozenset(patched),
        texts=frozenset(_texts(code.co_consts)),
    )
    return functools.reduce(lambda one, other: _merged(one, other, frozenset(code.co_cellvars)), inner, own)


@functools.lru_cache(maxsize=4096)
def patched_by(code: CodeType) -> frozenset[tuple[str, ...]]:
    """Give the attributes that code sets on what a global name stands for, with the code that is defined inside."""
    found = [patched_by(const) for const in code.co_consts if isinstance(const, CodeType)]
    if not _SETTING.isdisjoint(code.co_code[::2]):
        found.append(frozenset(_chains(_listed(code))[1]))
    return frozenset().union(*found)


def _listed(code: CodeType) -> list[dis.Instruction]:
    return [i for i in dis.get_instructions(code) if i.opname not in _SKIPPED]


def _merged(one: Names, other: Names, own_variables: frozenset[str]) -> Names:
    return Names(
        chains=one.chains | other.chains,
        imports=one.imports | other.imports,
        attributes=one.attributes | other.attributes,
        assigned=one.assigned | other.assigned,
        rebound=one.rebound | (other.rebound - own_variables),
        patched=one.patched | other.patched,
        texts=one.texts | other.texts,
    )


def _chains(listed: list[dis.Instruction]) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    chains, patched = set(), set()
    for index, instruction in enumerate(listed):
        if instruction.opname not in ("LOAD_GLOBAL", "LOAD_NAME"):
            continue
        chain = [instruction.argval]
        for following in listed[index + 1 :]:
            if following.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                chain.append(following.argval)
                continue
            if following.opname in ("STORE_ATTR", "DELETE_ATTR"):
                patched.add((*chain, following.argval))
            break
        chains.add(tuple(chain))
    return chains, patched


def _imports(listed: list[dis.Instruction]) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    for index, instruction in enumerate(listed):
        if instruction.opname == "IMPORT_NAME":
            level, members = listed[index - 2].argval, listed[index - 1].argval
            yield instruction.argval, int(level or 0), tuple(members or ())


def _rebound(listed: list[dis.Instruction], code: CodeType) -> Iterator[str]:
    for instruction in listed:
        if instruction.opname in ("STORE_DEREF", "DELETE_DEREF") and instruction.argval in code.co_freevars:
            yield instruction.argval


def _texts(constants: tuple[Any, ...]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, (tuple, frozenset)):
            yield from _texts(tuple(constant))
