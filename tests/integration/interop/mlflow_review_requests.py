"""Requests of MLflow's protocol on scorers, label schemas and review queues, for servers with traces and `{e}`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from integration.interop.mlflow_requests import Step, post
from integration.interop.mlflow_trace_requests import API3, ask3, post3, trace_id

PLAIN = '{"name": "short", "aggregations": []}'
JUDGE = '{"instructions_judge_pydantic_data": {"model": "openai:/small", "instructions": "Is {{ outputs }} short?"}}'
NOWHERE = "99999"


def steps() -> Iterator[Step]:
    """Give all requests on reviewing."""
    yield post("experiments/create", {"name": "reviewed"}, keeps={"v": "experiment_id"})
    yield from _scorers()
    yield from _samplings()
    yield from _schemas()
    yield from _schemas_changed()
    yield from _queues()
    yield from _items()
    for method, path in (("GET", "workspaces"), ("GET", "workspaces/x"), ("DELETE", "workspaces/x")):
        yield ask3(method, path)
    yield post3("workspaces", {"name": "x"})


def _named(what: str, name: str, path: str = "get-by-name", experiment: str = "{e}", **more: str) -> Step:
    asked = {"experiment_id": experiment, "name": name, **more}
    return Step(f"{what}/{path} {asked}", "GET", f"{API3}{what}/{path}", query=list(asked.items()))


def _scorers() -> Iterator[Step]:
    def scorer(name: str, /, **more: Any) -> Step:
        given = {"experiment_id": "{e}", "name": "short", "serialized_scorer": PLAIN, **more}
        return post3("scorers/register", given, f"scorer: {name}")

    yield ask3("GET", "scorers/list", name="no scorers", experiment_id="{e}")
    yield scorer("first")
    yield scorer("second", serialized_scorer=JUDGE)
    yield scorer("another", name="a/b ñ")
    yield scorer("of another experiment", experiment_id="{v}")
    for field in ("experiment_id", "name", "serialized_scorer"):
        yield scorer(f"no {field}", **{field: None})
        yield scorer(f"empty {field}", **{field: ""})
        yield scorer(f"number as {field}", **{field: 5})
    yield scorer("blank name", name=" ")
    yield scorer("no JSON", serialized_scorer="{")
    yield scorer("no object", serialized_scorer="[]")
    for model in ("", " ", 5, "gateway:/chat"):
        text = json.dumps({"builtin_scorer_pydantic_data": {"model": model}})
        yield scorer(f"model {model!r}", name="model", serialized_scorer=text)
    yield scorer("no such experiment", experiment_id=NOWHERE)
    for query in ({"experiment_id": "{e}"}, {"experiment_ids": ["{v}", "{e}", NOWHERE]}):
        yield ask3("GET", "scorers/list", **query)
    yield ask3("GET", "scorers/list", experiment_id="{e}", experiment_ids=["{e}"])
    for path in ("versions", "get"):
        for name in ("short", "nope"):
            yield _named("scorers", name, path)
        yield _named("scorers", "short", path, experiment=NOWHERE)
        yield ask3("GET", f"scorers/{path}", experiment_id="{e}")
    for version in ("1", "9", "0", "x"):
        yield _named("scorers", "short", "get", version=version)
    one = {"experiment_id": "{e}", "name": "short"}
    yield ask3("DELETE", "scorers/delete", {**one, "version": 9}, "delete a version that is not there")
    yield ask3("DELETE", "scorers/delete", {**one, "version": 2}, "delete a version")
    yield scorer("after a deleted version")
    yield _named("scorers", "short", "versions")
    yield ask3("DELETE", "scorers/delete", {**one, "name": "a/b ñ"}, "delete a scorer")
    yield ask3("DELETE", "scorers/delete", {**one, "name": "a/b ñ"}, "delete a scorer again")
    yield ask3("GET", "scorers/list", name="scorers that are left", experiment_id="{e}")
    # Taken by one of the servers only, so it comes last.
    yield scorer("code of its own", experiment_id="{v}", serialized_scorer='{"call_source": "return 1"}')


def _samplings() -> Iterator[Step]:
    def sampling(**more: Any) -> Step:
        given = {"experiment_id": "{e}", "name": "short", "sample_rate": 0.0, **more}
        return ask3("PUT", "scorers/online-config", given, f"sampling {more}")

    yield sampling()
    yield sampling(filter_string="status = 'OK'")
    yield sampling(filter_string="nonsense")
    yield sampling(filter_string=5)
    for rate in (0.5, 1.5, -0.5, "0.0", None):
        yield sampling(sample_rate=rate)
    yield sampling(name="nope")
    yield sampling(experiment_id=NOWHERE)
    yield ask3("GET", "scorers/online-configs", name="samplings of none", scorer_ids=["x"])
    yield ask3("GET", "scorers/online-configs", name="samplings of nothing")


def _schemas() -> Iterator[Step]:
    def schema(name: str, keeps: str = "", /, **more: Any) -> Step:
        given = {"experiment_id": "{e}", "name": name, "type": "FEEDBACK", "input": {"text": {}}, **more}
        kept = {keeps: "label_schema.schema_id"} if keeps else {}
        return post3("label-schemas/create", given, f"schema: {name} {str(more)[:100]}", keeps=kept)

    yes_no = {"pass_fail": {"positive_label": "sí", "negative_label": "no"}}
    some = {"categorical": {"options": ["a", "b"], "multi_select": True}}
    yield schema("Is it right?", "right", input=yes_no, instruction="Look twice", enable_comment=True)
    yield schema("Which?", "which", input=some, type=2)
    for asked in ("Feedback", "Is it right?"):
        yield _named("label-schemas", asked)
    yield ask3("GET", "label-schemas/list", name="schemas", experiment_id="{e}")
    yield schema("How long?", "long", input={"numeric": {"min_value": 0, "max_value": 9.5}})
    yield schema("Say", "say", input={"text": {"max_length": 9}}, type="EXPECTATION", instruction="")
    yield schema("Is it right?")
    yield schema(" feedback ")
    yield schema("x" * 251)
    yield schema("y", instruction="i" * 1001)
    wrongs: tuple[Any, ...] = (
        {"pass_fail": {"positive_label": "a", "negative_label": "a"}},
        {"pass_fail": {"positive_label": "a"}},
        {"categorical": {"options": []}},
        {"categorical": {"options": ["a", "a"]}},
        {"categorical": {"options": list("abcdefghijk")}},
        {"categorical": {"options": [""]}},
        {"numeric": {"min_value": 2, "max_value": 2}},
        {"text": {"max_length": 0}},
        {},
        None,
        5,
    )
    for wrong in wrongs:
        yield schema("wrong", input=wrong)
    for kind in (None, 0, "NOPE", 7):
        yield schema("wrong", type=kind)
    for field in ("experiment_id", "name"):
        yield schema("wrong", **{field: None})
    yield schema("elsewhere", experiment_id=NOWHERE)
    yield ask3("GET", "label-schemas/list", name="all schemas", experiment_id="{e}")
    first = {"experiment_id": "{e}", "max_results": "2"}
    yield Step(
        "a page of schemas",
        "GET",
        f"{API3}label-schemas/list",
        query=list(first.items()),
        keeps={"schemas_after": "next_page_token"},
    )
    second = {**first, "page_token": "{schemas_after}"}
    yield ask3("GET", "label-schemas/list", name="the next page of schemas", **second)
    for wrong_limit in ("0", "50001", "x"):
        yield ask3("GET", "label-schemas/list", experiment_id="{e}", max_results=wrong_limit)
    yield ask3("GET", "label-schemas/list", experiment_id=NOWHERE)
    yield ask3("GET", "label-schemas/get", schema_id="{right}", name="the schema")
    yield ask3("GET", "label-schemas/get", schema_id="ls-0")
    yield ask3("GET", "label-schemas/get")


def _schemas_changed() -> Iterator[Step]:
    def change(**more: Any) -> Step:
        return ask3(
            "PATCH", "label-schemas/update", {"schema_id": "{right}", **more}, f"change schema {more}"
        )

    yield change()
    yield change(name="Right?", instruction="", enable_comment=False)
    yield change(input={"pass_fail": {"positive_label": "yes", "negative_label": "no"}})
    yield change(input={"text": {}})
    yield change(schema_id="{which}", input={"categorical": {"options": ["c"]}})
    yield change(schema_id="{which}", input={"categorical": {"options": ["c"], "multi_select": True}})
    yield change(name="Which?")
    yield change(name="")
    yield change(name="Feedback")
    yield change(schema_id="ls-0")
    yield ask3("DELETE", "label-schemas/delete", {"schema_id": "{long}"}, "delete a schema")
    yield ask3("DELETE", "label-schemas/delete", {"schema_id": "{long}"}, "delete a schema again")


def _queues() -> Iterator[Step]:
    def queue(name: str, keeps: str = "", /, **more: Any) -> Step:
        given = {"experiment_id": "{e}", "name": name, "queue_type": "CUSTOM", **more}
        kept = {keeps: "review_queue.queue_id"} if keeps else {}
        return post3("review-queues/create", given, f"queue: {name} {str(more)[:100]}", keeps=kept)

    yield queue(" First ", "q", users=[" Ana ", "bo", "ana"], schema_ids=["{right}"])
    yield queue("ana", "u", queue_type="USER")
    yield queue("FIRST")
    yield queue("Default")
    yield queue("bo", queue_type="USER", users=["ana"])
    yield queue("bo", queue_type="USER", schema_ids=["{right}"])
    yield queue("x", schema_ids=["ls-0"])
    yield queue("x", users=[f"u{at}" for at in range(11)])
    yield queue("x", users=[" "])
    yield queue("   ")
    yield queue("x", experiment_id=NOWHERE)
    for kind in (None, "NOPE", 9):
        yield queue("x", queue_type=kind)
    for field in ("experiment_id", "name"):
        yield queue("x", **{field: None})
    for user in ("Ana", "cy", "first"):
        given = {"experiment_id": "{e}", "user": user}
        yield post3("review-queues/get-or-create-user", given, f"queue of {user}")
    yield ask3("GET", "review-queues/get", queue_id="{q}", name="the queue")
    yield ask3("GET", "review-queues/get", queue_id="rq-0")
    for asked in ("fIRST", "nope"):
        yield _named("review-queues", asked)
    yield ask3("GET", "review-queues/list", name="queues", experiment_id="{e}")
    yield ask3("GET", "review-queues/list", name="queues of a user", experiment_id="{e}", user="ANA")
    yield ask3("GET", "review-queues/list", experiment_id="{e}", max_results="0")

    def change(**more: Any) -> Step:
        return post3("review-queues/update", {"queue_id": "{q}", **more}, f"change queue {more}")

    yield change()
    yield change(name="Second", new_owner=" Ana ")
    yield change(users=["cy"])
    yield change(users=["cy"], update_users=True)
    yield change(schema_ids=["{which}"], update_schema_ids=True)
    yield change(schema_ids=["ls-0"], update_schema_ids=True)
    yield change(name="ANA")
    yield change(name="default")
    yield change(new_owner=" ")
    yield change(queue_id="{u}", name="x")
    yield change(queue_id="{u}")
    yield change(queue_id="rq-0")


def _items() -> Iterator[Step]:
    one, two = trace_id(1), trace_id(2)

    def items(does: str, *ids: str, queue: str = "{q}", **more: Any) -> Step:
        given = {"queue_id": queue, "item_ids": list(ids), **more}
        return post3(f"review-queues/items/{does}", given, f"{does} items {ids} {more} {queue}")

    def status(**more: Any) -> Step:
        given = {"queue_id": "{q}", "item_id": one, **more}
        return post3("review-queues/items/set-status", given, f"status {more}")

    yield items("add")
    yield items("add", f" {two} ", one, two)
    yield items("add", one, item_type="TRACE")
    yield items("add", one, "tr-0")
    yield items("add", one, queue="rq-0")
    yield items("add", " ")
    yield post3(
        "review-queues/update",
        {"queue_id": "{q}", "schema_ids": [], "update_schema_ids": True},
        "change questions of a queue with items",
    )
    yield status()
    yield status(status="PENDING", completed_by="ana")
    yield status(status="COMPLETE")
    yield status(status="COMPLETE", completed_by=" ")
    yield status(status="COMPLETE", completed_by="Ana")
    yield status(status="COMPLETE", completed_by="bo")
    yield status(status="DECLINED", completed_by="x" * 251)
    yield status(status="NOPE", completed_by="ana")
    yield status(status="COMPLETE", completed_by="ana", item_id="tr-0")
    yield status(status="COMPLETE", completed_by="ana", queue_id="rq-0")
    yield ask3("GET", "review-queues/items/list", name="items", queue_id="{q}")
    yield ask3("GET", "review-queues/items/list", name="pending items", queue_id="{q}", status="PENDING")
    yield ask3("GET", "review-queues/items/list", name="items of a wrong queue", queue_id="rq-0")
    yield Step(
        "a page of items",
        "GET",
        f"{API3}review-queues/items/list",
        query=[("queue_id", "{q}"), ("max_results", "1")],
        keeps={"items_after": "next_page_token"},
    )
    after = {"queue_id": "{q}", "max_results": "1", "page_token": "{items_after}"}
    yield ask3("GET", "review-queues/items/list", name="the next page of items", **after)
    yield ask3("GET", "review-queues/list", name="queues with a trace", experiment_id="{e}", item_id=one)
    yield status(status="PENDING")
    yield items("remove", one, "tr-0")
    yield items("remove")
    yield ask3("GET", "review-queues/items/list", name="items that are left", queue_id="{q}")
    yield post3("review-queues/delete", {"queue_id": "{q}"}, "delete a queue")
    yield post3("review-queues/delete", {"queue_id": "{q}"}, "delete a queue again")
    yield ask3("GET", "review-queues/items/list", name="items of a deleted queue", queue_id="{q}")
