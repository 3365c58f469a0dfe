"""What a page can do: an address, a permission, the fields of a form, and the function that does it.

A capability lists its actions in `pages.py` as `ACTIONS`, beside `PAGES`; the server makes a POST route of each. An
example, whole::

    class MoveAlias(msgspec.Struct, frozen=True, kw_only=True):
        alias: Annotated[str, msgspec.Meta(max_length=100)]   # required: an empty one is told at the field
        version: int
        note: str = ""                                        # may be left empty


    def move_alias(visit: Visit, form: MoveAlias) -> Done:
        project, model = visit.parameters["project"], visit.parameters["model"]
        models = visit.context.service(Models)
        before = models.get(project, model).aliases.get(form.alias)
        if form.version not in known:
            raise FieldsRefused({"version": FieldError(words=mark("There is no such version"))})
        models.set_alias(project, model, form.alias, NewAlias(version=form.version))
        return Done(
            to=visit.urls.model(project, model),             # left out: the page that the form stands on
            words=mark("`%(alias)s` now means version %(version)s"),
            values={"alias": form.alias, "version": str(form.version)},
            undo=Undo(to=visit.urls.model_alias(project, model), fields={"alias": form.alias, "version": str(before)}),
        )


    ACTIONS = (Action(path=MODEL_ALIAS_PATH, needs=WRITE_MODELS, fields=MoveAlias, handle=move_alias),)

and in the template::

    {% from "noria.core.web/_forms.html" import form, text, choice, hidden, submit %}
    {% call(f) form(frame, frame.urls.model_alias(page.project, page.model)) %}
      {{ text(f, "alias", _("Alias"), required=true) }}
      {{ choice(f, "version", _("Version"), page.version_options, value=page.version) }}
      {{ submit(_("Move the alias")) }}
    {% endcall %}

The form works without a script. The server checks that it comes from a page of ours that this reader was shown,
decodes it, calls the function, and answers 303 to `Done.to`, where the notice is shown once. Otherwise the page that
the form stands on is shown again with what was typed:

- a field that does not fit its type, or `FieldsRefused`: 422, the error at its field;
- `Stale`, for a form that carries the revision of a shared thing which changed meanwhile: 409, what it holds now
  beside what was typed; the page is made anew, so its hidden revision is the present one and sending again overwrites;
- any other error of a service: its own status and words (422 for `Invalid`).

What destroys has `confirm`: a function of visit and form that gives a `Confirmation` (or None where nothing needs it).
The server then asks on a page of its own before it calls `handle`; nothing else is needed in template or page::

    def confirm_delete(visit: Visit, form: DeleteRuns) -> Confirmation:
        return Confirmation(
            words=mark("Delete %(n)s runs?"), values={"n": str(len(form.run))},
            button=mark("Delete"), back=visit.urls.experiment(...), typed=None,   # or a name that must be typed
        )

Who is no longer signed in when the form arrives signs in first, and then is asked whether to send it; nothing that was
typed is lost but passwords (fields of the type `Secret`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

import msgspec

from noria.core.permissions import Permission
from noria.core.web.cookies import Cookie
from noria.core.web.forms import RESERVED, F, FieldError, FieldsRefused, Secret, Stale
from noria.core.web.pages import PageContext, Visit

__all__ = [
    "Action",
    "Confirmation",
    "Done",
    "FieldError",
    "FieldsRefused",
    "Secret",
    "Stale",
    "Undo",
]

FieldValues = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """The action that takes another back: a button in the notice.

    Attributes
    ----------
    to
        Its address.
    fields
        Of its form. A few: what is larger than a cookie holds has no button.
    """

    to: str
    fields: FieldValues = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How an action ended well.

    Attributes
    ----------
    to
        Where the reader goes on, made by `visit.urls`; None for the page that the form stands on.
    words
        A sentence for the notice without a full stop, gathered by `mark`, with `%(name)s` for values; what stands in
        backticks is set as code. Empty for no notice.
    values
        What is put into the words.
    undo
        What takes it back.
    secret
        Something that is shown this once, with a button to copy it.
    cookies
        To be set.
    kept
        A form that waited for the sign-in, as `Visit.parameters` had it: to be asked about now.
    """

    to: str | None = None
    words: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    undo: Undo | None = None
    secret: str = ""
    cookies: tuple[Cookie, ...] = ()
    kept: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What is asked before an action that destroys.

    Attributes
    ----------
    words
        The question, gathered by `mark`, with `%(name)s` for values.
    consequences
        Sentences on what will happen, likewise.
    values
        What is put into all of them.
    button
        What the button says: the verb.
    back
        Where "No" leads.
    typed
        A name that must be typed; None when a click will do.
    """

    words: str
    button: str
    back: str
    consequences: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    typed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Generic[F]):
    """Something that a form does.

    Attributes
    ----------
    path
        With `{name}` for its parameters, like a page's; a page may have the same.
    needs
        The permission without which the gate refuses.
    fields
        What the form brings.
    handle
        Does it. Calls services, as pages do; holds no rule of its own.
    confirm
        Gives what to ask before.
    """

    path: str
    needs: Permission
    fields: type[F]
    handle: Callable[[Visit, F], Done]
    confirm: Callable[[Visit, F], Confirmation | None] | None = None

    def __post_init__(self) -> None:
        """Refuse fields with the names of the machinery's own."""
        taken = RESERVED.intersection(each.name for each in msgspec.structs.fields(self.fields))
        if taken:
            raise TypeError(f"`{self.fields.__name__}` may not have a field `{min(taken)}`")


AnyAction = Action[Any]


class NoFields(msgspec.Struct, frozen=True, kw_only=True):
    """The form of a button alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmContext(PageContext):
    """What the page asks before an action that destroys.

    Attributes
    ----------
    confirmation
        The question.
    action
        Where the answer goes.
    pairs
        The fields of the form, to be sent again.
    here
        Page that the form stands on.
    form
        Its name there, so that it is known again when it is not taken.
    is_mistyped
        Whether a name was typed, and another one.
    """

    confirmation: Confirmation
    action: str
    pairs: Sequence[tuple[str, str]]
    here: str
    form: str = ""
    is_mistyped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendContext(PageContext):
    """What the page shows to who has signed in again and had sent a form before.

    Attributes
    ----------
    action
        Where the form goes.
    pairs
        Its fields.
    here
        Page that it stands on.
    form
        Its name there.
    """

    action: str
    pairs: Sequence[tuple[str, str]]
    here: str
    form: str = ""
