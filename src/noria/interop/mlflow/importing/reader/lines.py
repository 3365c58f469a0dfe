"""Tells line by line what a store holds, and reads it page by page."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

PAGE = 1000
PAGES = {"search_logged_models": 100, "search_traces": 200}


class Telling:
    """What all parts of the reader share: MLflow, its client, and the way out.

    Attributes
    ----------
    n_skipped
        How many things could not be read so far.
    """

    def __init__(self, mlflow: Any, lines: Any) -> None:
        self.mlflow = mlflow
        self.client = mlflow.MlflowClient()
        self._lines = lines
        self.n_skipped = 0

    def guarded(self, what: str, name: str, read: Any, *args: Any) -> None:
        """Let one thing that cannot be read be told, and go on with the next."""
        try:
            read(*args)
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a store or its plugins raise
            self.n_skipped += 1
            self.tell("skipped", what=what, name=name, why=f"{type(error).__name__}: {error}"[:500])

    def tell(self, kind: str, **said: Any) -> None:
        """Tell one line."""
        self._lines.write(json.dumps({"kind": kind, **said}) + "\n")
        self._lines.flush()

    def ask(self, kind: str, **said: Any) -> str:
        """Tell one line, and wait for what is answered."""
        self.tell(kind, **said)
        answer = sys.stdin.readline()
        if not answer:
            raise EOFError("nobody listens any more")
        return answer.strip()

    def known(self, read: Any) -> Any:
        """Read something that this version of MLflow, or this kind of store, may not know."""
        try:
            return read()
        except (AttributeError, NotImplementedError):
            return []
        except self.mlflow.MlflowException as error:
            unknown = "NotImplemented" in type(error).__name__ or error.error_code == "ENDPOINT_NOT_FOUND"
            if unknown or "is not supported with FileStore" in str(error):
                return []
            raise

    def pages(self, read: Any) -> list[Any]:
        """Read all pages of a list, newest first as the store gives it; none where the store knows no such thing."""
        found: list[Any] = []
        token = None
        while True:
            page = self.known(lambda token=token: read(token))
            found.extend(page)
            token = getattr(page, "token", None)
            if not token:
                return found

    def paged(self, search: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Go through all pages of a search."""
        token = None
        while True:
            page = search(
                *args,
                max_results=PAGES.get(search.__name__, PAGE),
                page_token=token,
                **kwargs,
            )
            yield from page
            token = page.token
            if not token:
                return

    def store(self) -> Any:
        """Give the store behind the client, for what the client does not give."""
        from mlflow.tracking._tracking_service import utils

        return utils._get_store()

    def view_of_all(self) -> Any:
        """Give MLflow's word for what is active and what is deleted."""
        return self.mlflow.entities.ViewType.ALL
