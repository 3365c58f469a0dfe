"""Changes by design: announced, listed, withdrawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from noria.access.audit import Audit
from noria.core.errors import Invalid, NotFound
from noria.core.workspace import Workspace
from noria.decisions.announcements import Announcements, NewAnnouncement
from noria.decisions.client import announce
from noria.decisions.events import CHANGE_ANNOUNCED, CHANGE_WITHDRAWN
from noria.registry.entities import Signature, TensorSpec
from noria.serving.entities import Deployment
from noria.serving.service import Endpoints
from support.conformance import Services
from support.serving import register_version, signature

COLUMNS = Signature(
    inputs=[TensorSpec(name=name, datatype="FP64", shape=[-1]) for name in ("rooms", "income", "age_years")],
    outputs=signature().outputs,
)


@pytest.fixture
def served(services: Services, workspace: Workspace) -> Services:
    """Give services of a workspace in which a model of three columns answers at `prices`."""
    register_version(workspace, taking=COLUMNS)
    services(Endpoints).deploy("default", "prices", Deployment(model="digits", version=1))
    return services


def test_an_announcement_names_its_columns_or_its_text_does(served: Services, workspace: Workspace) -> None:
    """Both are listed, newest first, with who said it and from when on it holds."""
    at = datetime(2031, 5, 1, tzinfo=timezone(timedelta(hours=2)))
    told = served(Announcements)
    first = told.announce("default", "prices", NewAnnouncement(text="Income comes in thousands", at=at))
    second = announce("prices", "another unit", columns=["rooms"], workspace=workspace)

    assert (first.columns, first.at) == (["income"], at.astimezone(UTC))
    assert (second.columns, second.by) == (["rooms"], "local")
    assert told.list("default", "prices").items == [second, first]


def test_a_withdrawn_announcement_is_listed_no_more(served: Services) -> None:
    """The log keeps both words."""
    told = served(Announcements)
    made = told.announce("default", "prices", NewAnnouncement(text="rooms are halved"))
    told.withdraw("default", "prices", made.id)

    assert told.list("default", "prices").items == []
    with pytest.raises(NotFound, match="no announcement"):
        told.withdraw("default", "prices", made.id)
    types = [event.type for event in served(Audit).events(subject="endpoint:prices").items]
    assert [type_ for type_ in types if type_.startswith("change.")] == [CHANGE_ANNOUNCED, CHANGE_WITHDRAWN]


@pytest.mark.parametrize(
    ("new", "message", "hint"),
    [
        (NewAnnouncement(text="something changes"), "names no column", "`rooms`"),
        (NewAnnouncement(text="x", columns=["romms"]), "no column `romms`", "`rooms`"),
        (NewAnnouncement(text="rooms", at=datetime(2031, 5, 1)), "no time zone", "+02:00"),  # noqa: DTZ001
    ],
)
def test_what_says_nothing_is_refused(
    served: Services, new: NewAnnouncement, message: str, hint: str
) -> None:
    """The message tells the mend."""
    with pytest.raises(Invalid, match=message) as raised:
        served(Announcements).announce("default", "prices", new)

    assert hint in (raised.value.hint or "")
