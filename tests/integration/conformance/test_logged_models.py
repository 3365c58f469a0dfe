"""What logged models promise, over each transport and on each database."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from noria.core.errors import Conflict, Invalid, NotFound, TooLarge
from noria.tracking.entities import Link, LogBatch, NewRun
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import (
    DatasetChoice,
    LoggedModel,
    ModelEnd,
    ModelOrder,
    ModelParams,
    ModelSearch,
    ModelStatus,
    ModelTags,
    ModelUse,
    NewLoggedModel,
    RunModels,
)
from noria.tracking.model_rows import LoggedModelNotFound
from noria.tracking.point_entities import ModelPoint
from noria.tracking.search.grammar import FilterInvalid
from noria.tracking.search.page_tokens import PageTokenInvalid
from noria.tracking.service import Experiments, Lineage, Runs
from support.conformance import Services

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def models(services: Services) -> LoggedModels:
    """Give the service, in a workspace with the experiments `digits` (1) and `other` (2)."""
    for name in ("digits", "other"):
        services(Experiments).create("default", NewExperiment(name=name))
    return services(LoggedModels)


def new(models: LoggedModels, name: str | None = None, **given: object) -> LoggedModel:
    """Make a model in `digits`."""
    made = NewLoggedModel(experiment=str(given.pop("experiment", "digits")), name=name, **given)  # type: ignore[arg-type]
    return models.create("default", made)


def found(models: LoggedModels, filter_: str = "", *order: ModelOrder, **given: object) -> list[str]:
    """Name the models that a search gives."""
    search = ModelSearch(numbers=[1, 2], filter=filter_, order_by=list(order), **given)  # type: ignore[arg-type]
    return [model.name for model in models.search(search).items]


def point(model: LoggedModel, key: str, value: float, *, dataset: str = "", step: int = 0) -> ModelPoint:
    """Make a point of a model, on a data set of that name and digest."""
    return ModelPoint(
        model=model.id,
        key=key,
        value=value,
        step=step,
        at=NOW + timedelta(seconds=step),
        dataset_name=dataset,
        dataset_digest=dataset and f"{dataset}-digest",
    )


def test_a_model_is_made_and_found(models: LoggedModels) -> None:
    """A new model is pending, and keeps what it was made with."""
    made = new(
        models, "forest", model_type="sklearn", source_run="r1", params={"depth": "3"}, tags={"a": "b"}
    )

    assert models.get("default", made.id) == made
    assert (made.name, made.status, made.model_type, made.source_run) == (
        "forest",
        ModelStatus.PENDING,
        "sklearn",
        "r1",
    )
    assert (made.params, made.tags, made.metrics) == ({"depth": "3"}, {"a": "b"}, [])
    assert (made.experiment, made.experiment_number, made.project) == ("digits", 1, "default")
    assert made.id.startswith("m-")
    assert made.deleted_at is None
    assert new(models).name
    place = models.locate(made.id)
    assert (place.project, place.experiment_number) == ("default", 1)


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a.b", "a%b", "a'b", 'a"b', "x" * 501])
@pytest.mark.alike
def test_bad_names_are_refused(models: LoggedModels, name: str) -> None:
    """A name is not empty, and has nothing that addresses are made of."""
    with pytest.raises((Invalid, TooLarge)):
        new(models, name)


def test_a_model_needs_an_active_experiment(models: LoggedModels) -> None:
    """There is no model without an experiment, nor in a deleted one."""
    with pytest.raises(NotFound):
        new(models, experiment="nothing")


def test_a_model_ends_in_a_status(models: LoggedModels) -> None:
    """Ready or failed, and again as often as its maker says."""
    made = new(models)

    assert models.finish("default", made.id, ModelEnd()).status is ModelStatus.READY
    failed = models.finish("default", made.id, ModelEnd(status=ModelStatus.FAILED, message="disk full"))
    assert (failed.status, failed.status_message) == (ModelStatus.FAILED, "disk full")
    assert failed.updated_at >= made.updated_at


def test_a_deleted_model_is_gone_until_it_is_restored(models: LoggedModels) -> None:
    """It is neither got nor searched, unless one asks for the deleted one by its id."""
    made = new(models, "forest")
    models.delete("default", made.id)

    with pytest.raises(LoggedModelNotFound):
        models.get("default", made.id)
    assert models.get("default", made.id, deleted=True).deleted_at is not None
    assert found(models) == []
    assert models.restore("default", made.id).deleted_at is None
    assert found(models) == ["forest"]


@pytest.mark.parametrize("model_id", ["m-" + "0" * 32, "nothing", "", "m-1"])
@pytest.mark.alike
def test_unknown_models_are_not_found(models: LoggedModels, model_id: str) -> None:
    """Every operation on a model says so."""
    for call in (
        lambda: models.get("default", model_id or "x"),
        lambda: models.finish("default", model_id or "x", ModelEnd()),
        lambda: models.delete("default", model_id or "x"),
        lambda: models.set_tags("default", model_id or "x", ModelTags(tags={"a": "b"})),
        lambda: models.add_params("default", model_id or "x", ModelParams(params={"a": "b"})),
        lambda: models.remove_tag("default", model_id or "x", key="a"),
        lambda: models.locate(model_id or "x"),
    ):
        with pytest.raises(LoggedModelNotFound):
            call()


def test_tags_come_and_go(models: LoggedModels) -> None:
    """Tags are set anew, removed by null, or by their key if they are there."""
    made = new(models, tags={"tag": "apple"})
    models.set_tags("default", made.id, ModelTags(tags={"tag": "pear", "other": "x", "with space[0]": "y"}))

    assert models.get("default", made.id).tags == {"tag": "pear", "other": "x", "with space[0]": "y"}
    models.remove_tag("default", made.id, key="tag")
    assert models.set_tags("default", made.id, ModelTags(tags={"other": None})).tags == {"with space[0]": "y"}
    with pytest.raises(NotFound, match="No tag with key 'tag'"):
        models.remove_tag("default", made.id, key="tag")


def test_params_never_change(models: LoggedModels) -> None:
    """More params may come; the same value again is fine, another one is not, and then nothing of it is kept."""
    made = new(models, params={"depth": "3"})
    models.add_params("default", made.id, ModelParams(params={"depth": "3", "trees": "10"}))
    with pytest.raises(Conflict):
        models.add_params("default", made.id, ModelParams(params={"depth": "4", "more": "1"}))

    assert models.get("default", made.id).params == {"depth": "3", "trees": "10"}


def test_a_run_logs_metrics_of_a_model(services: Services, models: LoggedModels) -> None:
    """The point names its run, step and data; sent again it changes nothing, and the run's own metrics are apart."""
    made, run = new(models), services(Runs).create("default", NewRun(experiment="digits"))
    points = [point(made, "acc", 0.5, dataset="train", step=3), point(made, "acc", math.nan, dataset="test")]
    batch = LogBatch(model_points=[*points, point(made, "loss", math.inf)])
    services(Runs).log("default", run.id, batch)
    services(Runs).log("default", run.id, batch)
    metrics = models.get("default", made.id).metrics

    shown = [(m.key, m.step, m.dataset_name, m.dataset_digest, m.run) for m in metrics]
    assert shown == [
        ("acc", 0, "test", "test-digest", run.id),
        ("acc", 3, "train", "train-digest", run.id),
        ("loss", 0, "", "", run.id),
    ]
    assert math.isnan(metrics[0].value)
    assert [metric.value for metric in metrics[1:]] == [0.5, math.inf]
    assert metrics[1].at == NOW + timedelta(seconds=3)
    assert services(Runs).get("default", run.id).metrics == {}


def test_points_of_an_unknown_model_leave_everything_unwritten(
    services: Services, models: LoggedModels
) -> None:
    """The models of a batch are looked up before anything is written."""
    gone = new(models)
    unknown = LoggedModel(**{**{name: getattr(gone, name) for name in gone.__struct_fields__}, "id": "m-1"})
    run = services(Runs).create("default", NewRun())
    with pytest.raises(LoggedModelNotFound):
        services(Runs).log(
            "default", run.id, LogBatch(params={"p": "1"}, model_points=[point(unknown, "a", 1)])
        )

    assert services(Runs).get("default", run.id).params == {}


def test_runs_read_and_make_models(services: Services, models: LoggedModels) -> None:
    """The links stand on the run and in the lineage, each once."""
    made, read = new(models, "made"), new(models, "read")
    run = services(Runs).create("default", NewRun(experiment="digits"))
    linked = RunModels(inputs=[ModelUse(model=read.id)], outputs=[ModelUse(model=made.id, step=7)])
    models.link("default", run.id, linked)
    models.link("default", run.id, linked)
    shown = services(Runs).get("default", run.id)

    assert shown.inputs == [Link(ref=f"logged-model:{read.id}")]
    assert shown.outputs == [Link(ref=f"logged-model:{made.id}")]
    upstream = services(Lineage).upstream("default", ref=f"logged-model:{made.id}")
    assert f"logged-model:{read.id}" in {node.ref for node in upstream.nodes}
    with pytest.raises(LoggedModelNotFound):
        models.link("default", run.id, RunModels(outputs=[ModelUse(model="m-1")]))


def test_searches_filter(services: Services, models: LoggedModels) -> None:
    """By attribute, param, tag and metric, alone and together."""
    old = new(models, "old", params={"depth": "3"}, tags={"my tag": "x"}, model_type="tree", source_run="r1")
    young = new(models, "young", params={"depth": "4"})
    new(models, "abroad", experiment="other")
    run = services(Runs).create("default", NewRun())
    points = [point(old, "acc", 0.5), point(old, "acc", 0.9, step=1), point(young, "acc", math.nan)]
    services(Runs).log("default", run.id, LogBatch(model_points=points))

    assert found(models) == ["abroad", "young", "old"]
    assert found(models, "params.depth = '3'") == ["old"]
    assert found(models, "params.depth != '3'") == ["young"]
    assert found(models, "tags.`my tag` = 'x' and name like 'o%'") == ["old"]
    assert found(models, "name LIKE 'O%'") == []
    assert found(models, "name ILIKE 'O%'") == ["old"]
    assert found(models, "attributes.name IN ('old', 'young',)") == ["young", "old"]
    assert found(models, "name NOT IN ('old')") == ["abroad", "young"]
    assert found(models, "metrics.acc > 0.8") == ["old"]
    assert found(models, "metrics.acc = 0.5 AND metrics.acc = 0.9") == ["old"]
    assert found(models, "metrics.acc != 7") == ["young", "old"]
    assert found(models, "metrics.nothing > 0") == []
    assert found(models, "creation_timestamp > 0 AND last_updated_timestamp < 99999999999999") != []
    assert found(models, f"creation_time = {int(old.created_at.timestamp() * 1000)} AND name = 'old'") == [
        "old"
    ]
    assert found(models, "status = 'PENDING' AND source_run_id = 'r1' AND model_type = 'tree'") == ["old"]
    assert found(models, f"model_id = '{old.id}'") == ["old"]


@pytest.mark.parametrize(
    ("filter_", "message"),
    [
        ("Foo", "Invalid filter string"),
        ("name = 'foo' OR name = 'bar'", "Invalid filter string"),
        ("(name = 'foo')", "Invalid filter string"),
        ("name = 'foo' AND", "Invalid filter string"),
        ("name = 'foo", "Invalid filter string"),
        ("foo.bar = 'a'", "Invalid entity type"),
        ("name > 'foo'", "Invalid comparison operator"),
        ("metrics.foo LIKE 0", "Invalid comparison operator"),
        ("metrics.foo > 'bar'", "Expected a number"),
        ("nam = 'foo'", "Invalid attribute key"),
        ("name = 'x'; drop table logged_models", "Invalid filter string"),
    ],
)
@pytest.mark.alike
def test_bad_filters_say_what_is_wrong(models: LoggedModels, filter_: str, message: str) -> None:
    """Nothing is searched with a filter that is only half understood."""
    with pytest.raises(FilterInvalid, match=message):
        found(models, filter_)


@pytest.mark.parametrize("text", ["'; drop table logged_models; --", "100%_[x]*?\\", "it's", 'a"b', "ñandú"])
def test_values_are_only_values(models: LoggedModels, text: str) -> None:
    """Whatever stands in quotes is compared with, and LIKE knows no signs but `%` and `_`."""
    new(models, "it", params={"key": text})
    new(models, "no", params={"key": "100ab_x"})
    quoted = text.replace("'", "''")

    assert found(models, f"params.key = '{quoted}'") == ["it"]
    assert found(models, f"params.key LIKE '{quoted}'") == ["it"]
    assert found(models, f"params.key IN ('{quoted}', 'else')") == ["it"]


def test_searches_choose_data(services: Services, models: LoggedModels) -> None:
    """Metrics count on the named data only; without a metric in the filter, any metric on it will do."""
    first, second, third = new(models, "first"), new(models, "second"), new(models, "third")
    run = services(Runs).create("default", NewRun())
    points = [point(first, "m", 0.1, dataset="a"), point(second, "m", 0.2, dataset="b"), point(third, "m", 1)]
    services(Runs).log("default", run.id, LogBatch(model_points=points))

    assert found(models, "metrics.m >= 0.1", datasets=[DatasetChoice(name="a")]) == ["first"]
    both = [DatasetChoice(name="a", digest="a-digest"), DatasetChoice(name="b")]
    assert found(models, datasets=both) == ["second", "first"]
    assert found(models, datasets=[DatasetChoice(name="a", digest="another")]) == []
    with pytest.raises(Invalid, match="dataset_name"):
        found(models, datasets=[DatasetChoice(name="")])


def test_searches_are_ordered(services: Services, models: LoggedModels) -> None:
    """By attributes and by the latest value of a metric; models without it come last both ways, after NaN."""
    made = [new(models, name) for name in ("a", "b", "c", "d")]
    run = services(Runs).create("default", NewRun())
    points = [
        point(made[0], "acc", 0.9, dataset="x"),
        point(made[0], "acc", 0.1, dataset="y", step=1),
        point(made[1], "acc", 0.5, dataset="x"),
        point(made[3], "acc", math.nan),
    ]
    services(Runs).log("default", run.id, LogBatch(model_points=points))
    up, down = ModelOrder(field="metrics.acc"), ModelOrder(field="metrics.acc", ascending=False)

    assert found(models) == ["d", "c", "b", "a"]
    assert found(models, "", ModelOrder(field="creation_time")) == ["a", "b", "c", "d"]
    assert found(models, "", ModelOrder(field="name", ascending=False)) == ["d", "c", "b", "a"]
    assert found(models, "", up) == ["a", "b", "d", "c"]
    assert found(models, "", down) == ["b", "a", "d", "c"]
    on_x = ModelOrder(field="metrics.acc", dataset_name="x", ascending=False)
    assert found(models, "", on_x) == ["a", "b", "d", "c"]
    by_digest = ModelOrder(field="metrics.acc", dataset_digest="y-digest")
    assert found(models, "", by_digest)[0] == "a"
    for field in ("nothing", "params.depth", "foo.bar"):
        with pytest.raises(Invalid, match="Invalid order by field name"):
            found(models, "", ModelOrder(field=field))


@pytest.mark.parametrize("ascending", [True, False])
def test_searches_come_in_pages(services: Services, models: LoggedModels, ascending: bool) -> None:
    """Pages join to the whole, also where values are equal, missing, infinite or NaN; a token fits one search."""
    run = services(Runs).create("default", NewRun())
    values = [1.0, math.nan, math.inf, 1.0, -math.inf, None, 0.1 + 0.2, None]
    made = [new(models, f"m{n}") for n in range(len(values))]
    points = [
        point(model, "acc", value) for model, value in zip(made, values, strict=True) if value is not None
    ]
    services(Runs).log("default", run.id, LogBatch(model_points=points))
    order = [ModelOrder(field="metrics.acc", ascending=ascending)]
    whole = models.search(ModelSearch(numbers=[1], order_by=order)).items
    paged: list[LoggedModel] = []
    after = None
    while True:
        page = models.search(ModelSearch(numbers=[1], order_by=order, limit=3, after=after))
        paged += page.items
        after = page.next
        if after is None:
            break
        for other in (
            ModelSearch(numbers=[2], order_by=order, after=after),
            ModelSearch(numbers=[1], after=after),
            ModelSearch(numbers=[1], order_by=order, filter="name = 'x'", after=after),
        ):
            with pytest.raises(PageTokenInvalid):
                models.search(other)

    assert [model.id for model in paged] == [model.id for model in whole]
    assert {model.id for model in paged} == {model.id for model in made}
    for token in ("nonsense", "W10=", "ñ"):
        with pytest.raises(PageTokenInvalid):
            models.search(ModelSearch(numbers=[1], after=token))
