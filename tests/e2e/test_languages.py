"""Pages in Spanish speak Spanish: every text of every page is looked at, of a workspace whose users write Spanish."""

from __future__ import annotations

from pathlib import Path

from noria.core.clock import SystemClock
from noria.core.web.languages import Language
from noria.server.assembly import load_actions, load_pages
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.english import english_in
from support.examples import address, fill, paths
from support.live_server import LiveServer
from support.scheduled import WRONG
from support.sights import past_estimates, see_windows, tell_by_task
from support.wheel import Words

SPANISH = Words(
    message="nueve cifras, sin cero",
    run="árboles",
    sentence=(
        "Accuracy of version 1 is 0.871 on the newest 140 labelled answers (95% interval 0.820 to 0.910); it was 0.972 "
        "on 216 held-out rows. Evidence this strong comes without a drop at most once in 1000 labels on average"
    ),
    problem=(
        "Accuracy of version 1 is 0.871 on the newest 140 labelled answers (95% interval 0.820 to 0.910); it was 0.972 "
        "on 216 held-out rows. Evidence this strong comes without a drop at most once in 1000 labels on average"
    ),
    finding=(
        "14 of 140 labels since the onset name a class that the model was never trained on: `0`. That is 10.0% (95% "
        "interval 5.6% to 16.2%), all of them answered wrongly, 78% of all errors"
    ),
    note="version 2, trained on all rows, old and new (digits-live@1)",
    reason=(
        "Retrain: expected to gain 930 right answers more than it costs over the next 10000 rows (95% interval 310 to "
        "1620), judged on 70 rows that it did not learn from"
    ),
    fact="nota",
    value="el canario pasó los dos pasos",
)
"""What Noria stores in English, as it does, and what users write, in Spanish."""

NAMES = ("loss", "accuracy", "predictions", "rows", "model", "score", "Model")
"""Of metrics, tensors, steps and their outputs."""


def test_no_page_in_spanish_says_a_word_in_english(browser: Browser, tmp_path: Path) -> None:
    """Headings, labels, sentences that are stored in English, hints: whatever Noria says itself."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    page = browser.page
    found: dict[str, list[str]] = {}
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as context, server.serving(context):
        filled = fill(context, SPANISH)
        see_windows(context, n=3)
        tell_by_task(context)
        past_estimates(context)
        for path in paths():
            at = address(path, filled)
            answer = page.goto(f"{server.url}{at}{'&' if '?' in at else '?'}lang=es")
            assert answer is not None
            if answer.status == 404 and path.endswith("/view"):
                continue  # this run has no such file
            said = english_in(page, Language.SPANISH, names=NAMES, users=[WRONG])
            if said or answer.status != 200:
                found[path] = said
    browser.complaints.clear()
    server.close()

    assert found == {}
