"""HTML that a run keeps, shown alone and without power: its scripts may draw, and do nothing else.

A browser takes such a document for one of a site of its own (`sandbox` without `allow-same-origin`): it has no cookies,
reads no answer of the server's, sends no form, opens no window, and loads nothing, from here or elsewhere. Everything
else that a run keeps is an attachment.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from noria.core.adapters import Adapter, AdapterAnswer, AdapterRequest, AdapterRoute, AdapterStream
from noria.core.errors import Invalid, NoriaError
from noria.core.http_errors import status_of
from noria.tracking.artifacts import Artifacts
from noria.tracking.limits import shorten
from noria.tracking.permissions import FIND_RUNS
from noria.tracking.previews import HTML_ENDINGS

DOCUMENTS_PATH = "/documents"
HEADERS = {
    "content-security-policy": (
        "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "img-src data:; font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "content-disposition": "inline",
    "referrer-policy": "no-referrer",
}


def show(request: AdapterRequest) -> AdapterStream:
    """Give a document of a run.

    Raises
    ------
    Invalid
        If its name is not that of a document.
    """
    path = request.path["path"]
    if PurePosixPath(path).suffix.lower() not in HTML_ENDINGS:
        raise Invalid(f"`{shorten(path)}` is no document in HTML", hint="Download it instead")
    artifacts = request.context.guarded(Artifacts)
    found = artifacts.get(request.path["project"], of=f"run:{request.path['run_id']}", path=path)
    return AdapterStream(
        chunks=found.chunks,
        size_bytes=found.size_bytes,
        media_type="text/html; charset=utf-8",
        headers=HEADERS,
    )


def refuse(error: NoriaError) -> AdapterAnswer:
    """Tell an error as plain text."""
    text = f"{error.message}\n{error.hint or ''}\n"
    return AdapterAnswer(
        status=status_of(error), body=text.encode(errors="replace"), media_type="text/plain; charset=utf-8"
    )


ADAPTER = Adapter(
    name="documents",
    prefixes=(f"{DOCUMENTS_PATH}/",),
    routes=(
        AdapterRoute(
            method="GET",
            path=f"{DOCUMENTS_PATH}/{{project}}/{{run_id}}/{{path:path}}",
            handle=show,
            needs=FIND_RUNS,
        ),
    ),
    refuse=refuse,
)
