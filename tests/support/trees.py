"""Trees of files for property tests."""

from __future__ import annotations

from typing import TypeVar

import hypothesis.strategies as st

Node = TypeVar("Node")


@st.composite
def trees_of(
    draw: st.DrawFn, paths: st.SearchStrategy[str], nodes: st.SearchStrategy[Node], *, most: int
) -> dict[str, Node]:
    """Make trees of at most so many places, by path, without anything below a file or an empty folder."""
    tree: dict[str, Node] = {}
    for path, node in draw(st.lists(st.tuples(paths, nodes), max_size=most)):
        above = ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 2)]
        if not any(name in tree for name in above) and not any(name.startswith(f"{path}/") for name in tree):
            tree[path] = node
    return tree
