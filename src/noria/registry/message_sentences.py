"""What Noria says itself of versions of models that it makes: kept in English, told in the reader's language."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

retelling: Final = Retelling(
    mark(
        "A model of the kind %(kind_words)s, fitted %(scheme_words)s: %(score)s on %(n)s labelled rows of the endpoint "
        "%(endpoint)s (%(text)s)"
    ),
    mark(
        "Version %(version)s with its answers mapped anew by %(n)s labelled rows of the endpoint %(endpoint)s"
    ),
    mark("on all rows, old and new"),
    mark("on rows since the onset alone"),
    mark("on rows since the onset and as many old ones"),
)
"""Of messages; what people wrote is none of them."""
