"""Names of the columns of arrays, for who has no arrays: the server loads no numerical library."""

from __future__ import annotations

import itertools
from collections.abc import Sequence


def flatten_names(name: str, shape: Sequence[int]) -> list[str]:
    """Give the names of the columns of an array by the shape of its rows, as `flatten_columns` does, in C order.

    Examples
    --------
    >>> flatten_names("x", [2]), flatten_names("y", []), flatten_names("z", [1, 2])
    (['x[0]', 'x[1]'], ['y'], ['z[0,0]', 'z[0,1]'])
    """
    places = itertools.product(*map(range, shape))
    return [f"{name}[{','.join(map(str, at))}]" for at in places] if shape else [name]
