"""What Noria says itself of versions of data that it makes: kept in English, told in the reader's language."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

retelling: Final = Retelling(
    mark("%(n)s rows of %(dataset)s and %(m)s labelled rows of the endpoint %(endpoint)s")
)
"""Of messages; what people wrote is none of them."""
