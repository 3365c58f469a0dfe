"""Live pages: one look for all, nothing told to who is not concerned, and an end when looking fails."""

from __future__ import annotations

import asyncio
from typing import Any

from noria.core.web.live import Change, EventStream, Watch

PATIENCE_S = 10


class Log:
    """An event log that a test writes."""

    def __init__(self) -> None:
        self.position = 0
        self.projects: frozenset[str | None] | None = frozenset()
        self.is_broken = False

    def write(self, *projects: str | None) -> None:
        self.position += 1
        self.projects = frozenset(projects)

    async def look(self, after: int) -> Change:
        if self.is_broken:
            raise OSError("the database is gone")
        return Change(position=self.position, projects=self.projects)


async def began(watch: Watch) -> None:
    """Wait until the watch knows where the log stands."""
    while watch.n_looks == 0:
        await asyncio.sleep(0)


def test_a_page_is_told_of_its_own_project_and_of_what_belongs_to_none() -> None:
    """A change elsewhere leaves a page in peace."""

    async def play() -> tuple[bool, bool]:
        log = Log()
        watch = Watch(log.look, every_s=0)
        async with watch.listening("a") as here, watch.listening("b") as there:
            await began(watch)
            log.write("a")
            await here.wait()
            first = there.is_set()
            log.write(None)
            await there.wait()
            return first, there.is_set()

    assert asyncio.run(asyncio.wait_for(play(), PATIENCE_S)) == (False, True)


def test_pages_share_one_look() -> None:
    """However many pages are open, the log is looked at once a turn; and never while there is none."""

    async def play() -> tuple[int, int]:
        log = Log()
        watch = Watch(log.look, every_s=3600)
        async with watch.listening("a"), watch.listening("a"), watch.listening("b"):
            await began(watch)
            shared = watch.n_looks
        return shared, watch.n_looks

    assert asyncio.run(asyncio.wait_for(play(), PATIENCE_S)) == (1, 1)


class Wire:
    """Takes what a stream sends, and tells when the page goes."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.leaves = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_a_stream_says_changed_and_ends_with_its_page() -> None:
    """What is sent are server-sent events; when the page goes, the stream is over."""

    async def play() -> Wire:
        log, wire = Log(), Wire()
        watch = Watch(log.look, every_s=0)
        stream: Any = EventStream(watch, "a")(None, wire.receive, wire.send)  # type: ignore[arg-type]
        task = asyncio.ensure_future(stream)
        await began(watch)
        log.write("a")
        await until(lambda: "event: changed" in wire.text())
        wire.leaves.set()
        await task
        return wire

    wire = asyncio.run(asyncio.wait_for(play(), PATIENCE_S))

    assert wire.sent[0]["status"] == 200
    assert dict(wire.sent[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
    assert wire.text().startswith("retry: 5000\n\nevent: changed\ndata: \n\n")


def test_a_stream_ends_when_looking_fails_or_time_is_up() -> None:
    """A page whose stream ended opens another, which the gate sees; none hangs on a dead watch."""

    async def play() -> list[bool]:
        log, ended = Log(), []
        for broken, length_s in ((True, 3600.0), (False, 0.0)):
            log.is_broken = broken
            wire = Wire()
            watch = Watch(log.look, every_s=0)
            await EventStream(watch, "a", alive_s=0.01, length_s=length_s)(None, wire.receive, wire.send)  # type: ignore[arg-type]
            ended.append(wire.sent[-1]["more_body"] is False)
        return ended

    assert asyncio.run(asyncio.wait_for(play(), PATIENCE_S)) == [True, True]
