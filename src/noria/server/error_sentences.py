"""What error pages and refused forms say: kept in English, told in the reader's language.

Here is what the machinery of pages says; each capability has the words of its own refusals.
"""

from __future__ import annotations

from typing import Final

from noria.access import refusal_words as of_access
from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling
from noria.data import refusal_words as of_data
from noria.decisions import refusal_words as of_decisions
from noria.pipelines import refusal_words as of_pipelines
from noria.registry import refusal_words as of_registry
from noria.serving import refusal_words as of_serving
from noria.tracking import refusal_words as of_tracking

_MESSAGES: Final = (
    mark("There is no %(kind_words)s `%(name)s`"),
    mark("There is nothing at `%(name)s`"),
    mark("The project `%(project)s` has no %(kind_words)s `%(name)s`"),
    mark("The project `%(project)s` has no run `%(name)s` of a pipeline"),
    mark("The pipeline `%(name)s` has no runs in the project `%(project)s`"),
    mark("The run `%(run)s` has no artifact `%(name)s`"),
    mark("The dataset `%(name)s` has no version %(version)s"),
    mark("The model `%(name)s` has no version %(version)s"),
    mark("`%(name)s` has no report `%(report)s`"),
    mark("`%(name)s` was not validated"),
    mark("`%(name)s` is no number of a version"),
    mark("This run has no metric `%(name)s`"),
    mark("This page has no query parameter `%(name)s`"),
    mark("`%(name)s` may not see this page: it needs `%(permission)s`"),
    mark("`%(name)s` may not do this in the project `%(project)s`: it needs `%(permission)s`"),
    mark("`%(name)s` may not do this: it needs `%(permission)s`"),
    mark("`%(permission)s` needs the workspace key, even on this computer"),
    mark("You have no role in any project"),
    mark("This server asks everyone to sign in"),
    mark("The token is unknown, expired or revoked"),
    mark("The run `%(run)s` is deleted"),
    mark("The experiment `%(name)s` is deleted"),
    mark("The endpoint `%(name)s` changed in the meantime"),
    mark("The endpoint `%(name)s` is being changed by others"),
    mark("There is a project `%(name)s` already"),
    mark("There is a user `%(name)s` already"),
)
_FORMS: Final = (
    mark("The form cannot be read: %(text)s"),
    mark("The form is not right: %(text)s"),
    mark("This form has no field `%(name)s`"),
    mark("This form had become too old"),
    mark("This takes a form, not a body of the type `%(kind)s`"),
    mark("Nothing says which page sent this form"),
    mark("Somebody else has changed this meanwhile"),
    mark("Go back and send it again"),
    mark("Go back, load the page again and send it"),
    mark("Go back, load the page again and compare"),
    mark("The %(kind_words)s name `%(name)s` has %(n)s characters"),
    mark("`%(name)s` cannot be the name of a %(kind_words)s"),
    mark("Use at most %(n)s"),
    mark("Use at most %(n)s characters"),
    mark("Use letters, digits, `.`, `_` and `-`, beginning with a letter or digit"),
    mark("Use letters, digits, `.`, `_` and `-`, beginning with a letter or digit, such as `%(example)s`"),
    mark("`%(ref)s` ends in `@`"),
    mark("Write `%(name)s` or `%(example)s`"),
    mark("The %(what_words)s does not have the right form: %(text)s"),
)
_ADDRESSES: Final = (
    mark("`%(name)s` must be a number, not `%(given)s`"),
    mark("`%(name)s` is none that this page knows"),
    mark("The query parameter `%(name)s` is given twice"),
    mark("Give it once"),
    mark("The query parameter `%(name)s` holds a control character"),
    mark("The query cannot be read: %(text)s"),
    mark("Write `%(example)s`"),
    mark("The address is not UTF-8"),
    mark("The address holds a control character"),
    mark("`%(path)s` does not take `%(method)s`"),
    mark("This server does not know the method `%(method)s`"),
)
_MACHINE: Final = (
    mark("A page of another site sent this request (`%(header)s`)"),
    mark("A page of `%(origin)s` sent this request, and this server is `%(host)s`"),
    mark("Open the page of this server, or use the command line"),
    mark("Programs use the API: see `%(path)s`; a browser that sends no `Origin` is too old"),
    mark("This server does not answer for the host `%(host)s`"),
    mark("The `Host` header `%(host)s` does not name a host"),
    mark("Send `Host: name[:port]`"),
    mark("Add it in `noria.toml`: `[server]` `%(line)s`"),
    mark("This server takes no body of the type `%(kind)s`"),
    mark("Send `Content-Type: application/json`, or `application/octet-stream` for raw bytes"),
    mark("This route lets nobody in, since it declares no permission"),
    mark("Set `NORIA_TOKEN` to an API token (`%(command)s`), or run as the owner of the workspace folder"),
    mark("The server failed at this request; nothing is known about the cause here"),
    mark("Look for `%(incident)s` in the server's log"),
    mark("The database is busy"),
    mark("Try again; another process may be writing for long"),
    mark("The disk of the database is full"),
    mark("Free space (%(code)s) and repeat"),
    mark("The database does not answer: %(text)s"),
    mark("The file of the database is damaged: %(text)s"),
    mark("Put a copy in its place; those made before migrations lie beside it (`%(pattern)s`)"),
    mark("A value does not fit in the database: %(text)s"),
    mark("Integers have 64 bits, and text holds no null characters"),
    mark("The project `%(project)s` holds no object `%(digest)s`"),
    mark("Upload it to this project first"),
    mark("The object `%(digest)s` is not the manifest of a tree: %(text)s"),
    mark("The object `%(digest)s` lists a tree, but not in its one form"),
)
_OF_OTHERS: Final = (
    # What Python and SQLite say, as it comes after a colon of ours.
    mark("Max number of fields exceeded"),
    mark("bad query field: %(text)s"),
    mark("database is locked"),
    mark("database disk image is malformed"),
    mark("file is not a database"),
    mark("unable to open database file"),
    mark("attempt to write a readonly database"),
    mark("no reason given"),
    mark("Python int too large to convert to SQLite INTEGER"),
)
_HINTS: Final = (
    mark("Did you mean `%(name)s`?"),
    mark("Did you mean `%(name)s`? (see `%(command)s`)"),
    mark("Known: %(known_list)s"),
    mark("Known: %(known_list)s (see `%(command)s`)"),
    mark("Known: %(known_list)s …"),
    mark("Known: %(known_list)s … (see `%(command)s`)"),
    mark("There is none yet"),
    mark("There is none yet (see `%(command)s`)"),
    mark("Leave it out"),
    mark("Leave it out to see all"),
    mark("Use %(known_list)s"),
    mark("See `%(command)s`"),
    mark("The newest is %(n)s (see `%(command)s`)"),
    mark("It has none (see `%(command)s`)"),
    mark("Its only version is 1 (see `%(command)s`)"),
    mark("It has the versions 1 to %(n)s (see `%(command)s`)"),
    mark("Ask an admin for the role `%(role)s`"),
    mark("Ask an admin for one: `%(command)s`"),
    mark("Use the `%(command)s` command or the SDK as the owner of the workspace folder: they read its key"),
    mark("Try again"),
)
_KINDS: Final = (
    mark("run"),
    mark("experiment"),
    mark("model"),
    mark("dataset"),
    mark("endpoint"),
    mark("rollout"),
    mark("schedule"),
    mark("batch"),
    mark("comment"),
    mark("project"),
    mark("user"),
    mark("alert"),
    mark("decision"),
    mark("decision record"),
    mark("alias"),
    mark("static file"),
    mark("token"),
)

retelling: Final = Retelling(
    *_MESSAGES,
    *_FORMS,
    *_ADDRESSES,
    *_MACHINE,
    *_OF_OTHERS,
    *_HINTS,
    *_KINDS,
    also=[
        of_access.retelling,
        of_data.retelling,
        of_tracking.retelling,
        of_pipelines.retelling,
        of_registry.retelling,
        of_serving.retelling,
        of_decisions.retelling,
    ],
)
"""Of messages and hints."""
