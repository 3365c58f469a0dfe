"""The language of filters and orders."""

import pytest

from noria.tracking.search.fields import EXPERIMENTS, RUNS
from noria.tracking.search.grammar import Clause, FilterInvalid, Order

READ = [
    ("metric.acc >= 0.94", ("metric", "acc", ">=", 0.94)),
    ("metrics.acc>=100", ("metric", "acc", ">=", 100.0)),
    ("metrics.loss < -1.5e-3", ("metric", "loss", "<", -0.0015)),
    ("params.m!='tf'", ("parameter", "m", "!=", "tf")),
    ('params."m"!="tf"', ("parameter", "m", "!=", "tf")),
    ("`params`.model LIKE 'L%'", ("parameter", "model", "LIKE", "L%")),
    ('metric."legit name" >= 0.243', ("metric", "legit name", ">=", 0.243)),
    ("metrics.`spacey name` > 5", ("metric", "spacey name", ">", 5.0)),
    ('metrics."X//Y#$$@&Z" = 3', ("metric", "X//Y#$$@&Z", "=", 3.0)),
    ("metrics.accuracy.2.0 > 5", ("metric", "accuracy.2.0", ">", 5.0)),
    ("metrics.pérdida > 5", ("metric", "pérdida", ">", 5.0)),
    ('params.m = "L\'Hosp"', ("parameter", "m", "=", "L'Hosp")),
    ("params.m = 'it''s'", ("parameter", "m", "=", "it's")),
    ("params.m = 'a AND b; (c)'", ("parameter", "m", "=", "a AND b; (c)")),
    ("params.m = ''", ("parameter", "m", "=", "")),
    ("tags.version is  NULL", ("tag", "version", "IS NULL", None)),
    ("tags.`mlflow.parentRunId` IS not null", ("tag", "mlflow.parentRunId", "IS NOT NULL", None)),
    ("status ilike 'FIN%'", ("attribute", "status", "ILIKE", "FIN%")),
    ("attr.status = 'RUNNING'", ("attribute", "status", "=", "RUNNING")),
    ("run.start_time >= 1234", ("attribute", "start_time", ">=", 1234)),
    ("Created > 12.5", ("attribute", "start_time", ">", 12.5)),
    ("Run name = 'x'", ("attribute", "run_name", "=", "x")),
    ("attributes.`run name` = 'x'", ("attribute", "run_name", "=", "x")),
    ("run_id IN ('a', \"b\" ,)", ("attribute", "run_id", "IN", ("a", "b"))),
    ("datasets.name not  in ('d')", ("dataset", "name", "NOT IN", ("d",))),
]

REFUSED = [
    ("metric.acc >= 0.94; metrics.rmse < 1", "Search filter contained multiple expression"),
    ("m.acc >= 0.94", "Invalid entity type 'm'. Valid values are ['metric', 'parameter', 'tag',"),
    ("acc >= 0.94", "Invalid attribute key 'acc' specified. Valid keys are "),
    ("Metrics.acc > 1", "Invalid entity type 'Metrics'"),
    ("metrics.A > 0.1 OR params.B = 'LR'", "Invalid clause(s) in filter string: 'metrics.A > 0.1 OR"),
    ("metrics.A > 0.1 NAND params.B = 'LR'", "Invalid clause(s) in filter string"),
    ("metrics.A > 0.1 AND (params.B = 'LR')", "Invalid clause(s) in filter string: '(params.B = 'LR')'"),
    ("metrics.A > 0.1;", "Invalid clause(s) in filter string"),
    ("`metrics.A > 0.1", "Invalid clause(s) in filter string"),
    ("param`.A > 0.1", "Invalid clause(s) in filter string"),
    ("params.a-b = 'x'", "Invalid clause(s) in filter string"),
    ("metrics.a > 5abc", "Invalid clause(s) in filter string"),
    ("attribute.status = true", "Invalid clause(s) in filter string"),
    ("attribute.status IS 'RUNNING'", "Invalid clause(s) in filter string"),
    ("params.'acc = LR", "Invalid clause(s) in filter string"),
    ("params.acc = 'LR", "Invalid clause(s) in filter string"),
    ("params.acc = \"LR'", "Invalid clause(s) in filter string"),
    ("tags.acc = = 'LR'", "Invalid clause(s) in filter string"),
    ("params.acc LR !=", "Invalid clause(s) in filter string"),
    ("metric.acc !=", "Invalid clause(s) in filter string"),
    ("params.acc = LR", "value is either not quoted or unidentified quote types used for string value LR."),
    ("tags.acc = `LR`", "value is either not quoted or unidentified quote types"),
    ("metric.model = 'LR'", "Expected numeric value type for metric. Found 'LR'"),
    ("metrics.acc != metrics.acc", "Expected numeric value type for metric. Found metrics.acc"),
    ("start_time > '5'", "Expected numeric value type for numeric attribute: start_time. Found '5'"),
    ("params.acc = 5", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 5"),
    ("tags.acc = 5", "Expected a quoted string value for tag (e.g. 'my-value'). Got value 5"),
    ("attribute.status = 1", "Expected a quoted string value for attributes. Got value 1"),
    ("1.0 > metrics.acc", "Invalid comparison clause. Expected 'Identifier' found '1.0'"),
    ("1==2", "Invalid comparison clause. Expected 'Identifier' found '1'"),
    ("metrics.acc IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params, not for 'metric'"),
    ("status IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params, not for 'attribute'"),
    ("metrics.a ~ 1", "Invalid comparator '~' not one of"),
    ("params.a > 'x'", "Invalid comparator '>' not one of"),
    ("params.a NOT LIKE 'x'", "Invalid comparator 'NOT LIKE' not one of"),
    ("start_time LIKE 1234", "Invalid comparator 'LIKE' not one of"),
    ("dataset.status = 'true'", "Invalid dataset key 'status' specified. Valid keys are"),
    ("status IN ('x')", "Only ['run_id'] attributes support comparison with a list of quoted string values."),
    ("params.a IN ('x')", "Expected a quoted string value for parameter"),
    ("run_id IN ()", "expected a non-empty list of string values, but got empty list"),
    ("run_id IN ('a', 1)", "but got different type in list: ('a', 1)"),
    ("run_id IN ('a' 'b')", "but got ill-formed list"),
    ("run_id IN (,)", "expected a non-empty list of string values, but got ill-formed list"),
    ("run_id IN ('a',,'b')", "but got ill-formed list"),
    ("run_id IN (1,2,3)", "but got different type in list: (1, 2, 3)"),
    (" and ".join(["status = 'x'"] * 201), "The filter has 201 clauses"),
]

ORDERS = [
    ("metrics.acc", ("metric", "acc", True)),
    ('metrics."a b"  desc', ("metric", "a b", False)),
    ("params.`a b` aSc", ("parameter", "a b", True)),
    ("start_time DESC", ("attribute", "start_time", False)),
    ("Run name DESC", ("attribute", "run_name", False)),
    ("tag.x.y ", ("tag", "x.y", True)),
]

REFUSED_ORDERS = [
    ("m.acc", "Invalid entity type"),
    ("acc", "Invalid attribute key"),
    ("attribute.experiment_id", "Invalid attribute key"),
    ("dataset.name", "Invalid dataset key"),
    ("`metrics.A", "Invalid order_by clause '`metrics.A'. Could not be parsed."),
    ("`metrics.A`", "Invalid entity type"),
    ("metrics.A != 1", "Invalid order_by clause"),
    ("", "Invalid order_by clause"),
    ("attribute.run_id ACS", "Invalid ordering key in order_by clause 'attribute.run_id ACS'."),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_one_comparison_is_read(text: str, expected: tuple[str, str, str, object]) -> None:
    """Every spelling of names, comparators and values comes to one clause."""
    (clause,) = RUNS.parse_filter(text)
    assert (clause.entity, clause.key, clause.comparator, clause.value) == expected


def test_comparisons_are_joined_by_and_in_any_case() -> None:
    """`AND` joins whatever its case; the clauses keep their order."""
    clauses = RUNS.parse_filter("metrics.rmse < 1 and params.model = 'LR'\nAnD status = 'FAILED'")
    assert [clause.key for clause in clauses] == ["rmse", "model", "status"]


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_an_empty_filter_has_no_clauses(text: str | None) -> None:
    """Nothing asked for is nothing to hold."""
    assert RUNS.parse_filter(text) == ()


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_no_filter_is_refused_in_mlflows_words(text: str, message: str) -> None:
    """The message holds what MLflow's message holds, with what was wrong."""
    with pytest.raises(FilterInvalid) as caught:
        RUNS.parse_filter(text)
    assert message in caught.value.message


@pytest.mark.parametrize(("text", "expected"), ORDERS)
def test_an_order_is_read(text: str, expected: tuple[str, str, bool]) -> None:
    """A key may be followed by a direction; the default rises."""
    assert RUNS.parse_orders([text]) == (Order(entity=expected[0], key=expected[1], ascending=expected[2]),)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Metrics.acc > 1", "Did you mean `metrics`?"),
        ("m.acc > 1", "Known: `metric`, `metrics`, "),
        ("acc > 1", "`metrics.acc`"),
        ("attributes.stauts = 'x'", "Did you mean `status`?"),
        ("datasets.names = 'x'", "Did you mean `name`?"),
        ("datasets.size = 'x'", "A dataset has `name`, `digest`, `context`"),
        ("params.a NOT LIKE 'x'", "Write it as `params.a = 'a'`"),
        ("metrics.a ~ 1", "Write it as `metrics.a > 1`"),
        ("start_time > '5'", "without quotes: `5`"),
        ("metrics.acc > 'high'", "such as `metrics.acc > 1`"),
        ("params.acc = 5", "`'5'`"),
        ("params.acc = LR", "`'LR'`"),
        ("status IN ('x')", "Compare `status` with one value; lists stand after `run_id`"),
        ("run_id IN ('a' 'b')", "`run_id IN (…)`"),
        ("metrics.acc IS NULL", "as in `metrics.acc > 1`"),
        ("metrics.a > 1 OR metrics.b > 1", "There is no OR"),
        ("params.a = 'x", "Close each quote"),
        ("metrics.a > 1;", "Leave out `;`"),
        ("params.a-b = 'x'", "backticks"),
    ],
)
def test_a_filter_that_is_refused_says_how_to_mend_it(text: str, hint: str) -> None:
    """With the near name where there is one, and with what was written where it only lacks its form."""
    with pytest.raises(FilterInvalid) as caught:
        RUNS.parse_filter(text)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("text", [text for text, _ in REFUSED])
def test_every_filter_that_is_refused_has_a_hint(text: str) -> None:
    """Also in the grammar of experiments, which knows fewer names."""
    for grammar in (RUNS, EXPERIMENTS):
        with pytest.raises(FilterInvalid) as caught:
            grammar.parse_filter(text)
        assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("metrics.acc DSC", "Did you mean `DESC`?"),
        ("metrics.acc up", "`ASC` or `DESC`"),
        ("start_tim", "Did you mean `start_time`?"),
        ("dataset.name", "something else"),
    ],
)
def test_an_order_that_is_refused_says_how_to_mend_it(text: str, hint: str) -> None:
    """As filters do."""
    with pytest.raises(FilterInvalid) as caught:
        RUNS.parse_orders([text])
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(("text", "message"), REFUSED_ORDERS)
def test_what_is_no_order_is_refused_in_mlflows_words(text: str, message: str) -> None:
    """The message holds what MLflow's message holds."""
    with pytest.raises(FilterInvalid) as caught:
        RUNS.parse_orders([text])
    assert message in caught.value.message


def test_a_field_is_ordered_by_once() -> None:
    """Two spellings of one field are the field twice."""
    with pytest.raises(FilterInvalid, match="`order_by` contains duplicate fields"):
        RUNS.parse_orders(["start_time", "created DESC"])


def test_grammars_differ_by_their_tables() -> None:
    """Experiments have attributes and comparators of their own."""
    assert EXPERIMENTS.parse_filter("name LIKE 'a%' and experiment_id IN ('1')") == (
        Clause(entity="attribute", key="name", comparator="LIKE", value="a%"),
        Clause(entity="attribute", key="experiment_id", comparator="IN", value=("1",)),
    )
    with pytest.raises(FilterInvalid, match="Invalid entity type 'metrics'"):
        EXPERIMENTS.parse_filter("metrics.acc > 1")
    with pytest.raises(FilterInvalid, match="Invalid order_by entity type 'tag'"):
        EXPERIMENTS.parse_orders(["tags.team"])
