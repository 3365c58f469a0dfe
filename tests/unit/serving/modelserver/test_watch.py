"""What a worker shows of itself."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from noria.serving.modelserver.board import Board, Word
from noria.serving.modelserver.watch import Watched


class Stuck:
    """An application whose answer comes when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __rsgi__(self, _scope: Any, _protocol: Any) -> None:
        """Wait."""
        await self.go.wait()


def test_a_request_that_hangs_is_seen_with_the_time_at_which_it_began() -> None:
    """The oldest one at work, though younger ones come and go; none when all are answered."""
    board = Board.create(3)
    words = board.pages[1].words

    async def until(condition: Any) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)

    async def scenario() -> None:
        app = Stuck()
        door: Any = SimpleNamespace()
        watched = Watched(app, board.pages[1], board, door)
        beating = asyncio.create_task(watched.beat(lambda: True))
        scope: Any = SimpleNamespace(path="/v2/models/m/infer")
        protocol: Any = SimpleNamespace()
        first = asyncio.create_task(watched.__rsgi__(scope, protocol))
        await until(lambda: words[Word.N_IN_FLIGHT] == 1)
        began = words[Word.OLDEST_NS]
        second = asyncio.create_task(watched.__rsgi__(scope, protocol))
        await until(lambda: words[Word.N_IN_FLIGHT] == 2)

        assert 0 < began == words[Word.OLDEST_NS] < words[Word.BEAT_NS]
        assert words[Word.READY] == 1
        app.go.set()
        await asyncio.gather(first, second)
        await until(lambda: words[Word.N_IN_FLIGHT] == words[Word.OLDEST_NS] == 0)
        beating.cancel()

    asyncio.run(scenario())
