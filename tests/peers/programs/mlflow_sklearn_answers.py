"""What autologging of scikit-learn leaves on a server, read back through MLflow's client; the argument is the URI.

The cases are those that MLflow's tests of this autologging go through. The last line is what was told, as JSON.
"""

import contextlib
import logging
import sys
import warnings
from unittest import mock

import matplotlib as mpl

mpl.use("Agg")
import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.models import Model
from mlflow_notes import Notes
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import make_scorer, mean_squared_error, r2_score, recall_score
from sklearn.model_selection import GridSearchCV, _validation, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
# Which packages a model needs is found by loading it in a process of its own: ten seconds a model, the server unasked.
mlflow.models.infer_pip_requirements = lambda *_, **__: ["scikit-learn"]

notes = Notes(sys.argv[1])
say = notes.say
client = MlflowClient()
experiment = mlflow.set_experiment(notes.name("autolog")).experiment_id
X, Y = load_iris(return_X_y=True)
X = X[:, :2]
OF_THE_MACHINE = {"mlflow.source.name", "mlflow.source.git.commit", "mlflow.user", "mlflow.runName"}


def kmeans():
    return KMeans(n_clusters=2, random_state=0, n_init=1)


def files_of(run, path=None):
    found = []
    for each in client.list_artifacts(run, path):
        found += [each.path, *(files_of(run, each.path) if each.is_dir else [])]
    return found


def told(run_id):
    """Give all that a run tells, in a form that does not depend on the server."""
    run = client.get_run(notes.know(run_id, "run"))
    metrics = {key: round(value, 6) for key, value in run.data.metrics.items() if "time" not in key}
    return {
        "params": run.data.params,
        "metrics": metrics,
        "tags": {key: value for key, value in run.data.tags.items() if key not in OF_THE_MACHINE},
        "status": [run.info.status, run.info.end_time is not None],
        "data": [
            [each.dataset, {tag.key: tag.value for tag in each.tags}] for each in run.inputs.dataset_inputs
        ],
        "files": files_of(run_id),
        "models": sorted(map(model_of, [each.model_id for each in run.outputs.model_outputs]), key=str),
        "points": [len(client.get_metric_history(run_id, key)) for key in sorted(metrics)],
    }


def model_of(model_id):
    found = client.get_logged_model(notes.know(model_id, "model"))
    scores = [
        (each.key, round(each.value, 6), each.step, each.dataset_name or "")
        for each in found.metrics or []
        if "time" not in each.key
    ]
    tags = {key: value for key, value in found.tags.items() if key not in OF_THE_MACHINE}
    return found.name, found.model_type, str(found.status), found.params, tags, sorted(scores)


def fits():
    mlflow.sklearn.autolog(extra_tags={"test_tag": "extra"})
    for how in ("fit", "fit_transform", "fit_predict"):
        with mlflow.start_run() as run:
            model = kmeans()
            getattr(model, how)(X, Y)
        say(how, told(run.info.run_id))
        loaded = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
        say(f"loaded after {how}", loaded.predict(X[:9]).tolist() == model.predict(X[:9]).tolist())
    kmeans().fit(X)
    say("without labels and without a run", [mlflow.active_run(), told(mlflow.last_active_run().info.run_id)])
    binary = load_breast_cancer(return_X_y=True)
    forest = RandomForestClassifier(max_depth=2, random_state=0, n_estimators=4)
    for model, data in ((forest, binary), (make_pipeline(StandardScaler(), LinearRegression()), (X, Y))):
        with mlflow.start_run() as run:
            model.fit(*data)
        say(type(model).__name__, told(run.info.run_id))


def params():
    mlflow.sklearn.autolog()
    cases = {
        "101": {f"p{at}": f"v{at}" for at in range(101)},
        "long": {"a" * 251: "b" * 6001},
        "odd": {"none": None, "list": [1, 2], "lines": "x\ny", "ñ": "ñ", "empty": ""},
    }
    for label, given in cases.items():
        given_params = mock.patch("sklearn.cluster.KMeans.get_params", return_value=given)
        with mock.patch("sklearn.cluster.KMeans._validate_params"), given_params, mlflow.start_run() as run:
            kmeans().fit(X, Y)
        kept = client.get_run(run.info.run_id).data.params
        say(
            f"params {label}",
            sorted((key[:9], len(key), value[:9], len(value)) for key, value in kept.items()),
        )


def failures():
    mlflow.sklearn.autolog()
    for label, inside in (("a run of its own", False), ("a run around it", True)):
        run = mlflow.start_run() if inside else None
        try:
            LinearSVC(C=-1).fit(X, Y)
        except ValueError as error:
            say(f"fails in {label}", type(error).__name__)
        last = mlflow.search_runs().iloc[0]
        say(label, [last.status, mlflow.active_run() is run, told(last.run_id)["tags"]])
        mlflow.end_run()


def grids():
    for most in (None, 1):
        mlflow.sklearn.autolog(log_input_examples=True, log_model_signatures=True, max_tuning_runs=most)
        grid = GridSearchCV(SVC(), {"kernel": ("linear", "rbf"), "C": [1]}, cv=2)
        with mlflow.start_run() as run:
            grid.fit(X, Y)
        parent = run.info.run_id
        say(f"grid of {most}", told(parent))
        of_parent = f"tags.`mlflow.parentRunId` = '{parent}'"
        children = client.search_runs(experiment, of_parent, order_by=["params.C", "params.kernel"])
        say(f"children of {most}", [told(each.info.run_id) for each in children])
        found = []
        for point in grid.cv_results_["params"]:
            clauses = [of_parent, *(f"params.`{key}` = '{value}'" for key, value in point.items())]
            found.append(len(client.search_runs(experiment, " and ".join(clauses))))
        say(f"found of {most}", found)
        best = mlflow.sklearn.load_model(f"runs:/{parent}/best_estimator")
        signature = Model.load(f"runs:/{parent}/best_estimator").signature
        say(f"best of {most}", [type(best).__name__, str(signature)])
    mlflow.sklearn.autolog()
    scoring = {f"score_{at}": make_scorer(lambda *_, **__: 10) for at in range(1010)}
    with mlflow.start_run() as run:
        GridSearchCV(SVC(), {"C": [1]}, scoring=scoring, refit=False, cv=2).fit(X[::10], Y[::10])
    (child,) = client.search_runs(experiment, f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    say("many metrics", len(child.data.metrics))


def choices():
    for label, options in {
        "no models": {"log_models": False},
        "no data sets": {"log_datasets": False},
        "no scores afterwards": {"log_post_training_metrics": False},
        "disabled": {"disable": True},
        "exclusive": {"exclusive": True},
    }.items():
        mlflow.sklearn.autolog(**options)
        with mlflow.start_run() as run:
            model = LogisticRegression(random_state=0).fit(X, Y)
            r2_score(Y, model.predict(X))
        say(label, told(run.info.run_id))
    mlflow.sklearn.autolog(registered_model_name=notes.name("registered"), disable=False, exclusive=False)
    LinearRegression().fit(X, Y)
    version = client.get_model_version(notes.name("registered"), "1")
    say("registered", [version.name, version.status, version.current_stage, told(version.run_id)["models"]])


def scores_afterwards():
    mlflow.sklearn.autolog()
    first_x, first_y, second_x, second_y = X[0::3], Y[0::3], X[1::3], Y[1::3]
    with mlflow.start_run() as run:
        model = LogisticRegression(solver="saga", max_iter=20, random_state=0).fit(X, Y)
        first, second = model.predict(first_x), model.predict(second_x)
        r2_score(first_y, first)
        recall_score(first_y, first, average="macro")
        r2_score(second_y, second)
        model.score(first_x, first_y)
        make_scorer(recall_score, average="micro")(model, second_x, second_y)
        copies = first_x.copy(), first_y.copy()
        model.score(*copies)
        calls = mlflow.artifacts.load_dict(mlflow.get_artifact_uri("metric_info.json"))
    say("scores", [told(run.info.run_id), calls])
    runs = []
    for intercept in (True, False):
        with mlflow.start_run() as run:
            runs.append((LinearRegression(fit_intercept=intercept).fit(X, Y), run.info.run_id))
    for model, run_id in runs:
        mean_squared_error(first_y, model.predict(first_x))
        say("scores of one of two", told(run_id)["metrics"])


@contextlib.contextmanager
def every_part_kept():
    """Let the parts that data are split into outlive this.

    MLflow's client tells the data of scores apart by their identity (`X_test`, `X_test-2`), which a part that is gone
    may leave to the next one: the names would depend on where memory happens to be free.
    """
    split, kept = _validation._safe_split, []

    def keeping(*args, **options):
        kept.append(split(*args, **options))
        return kept[-1]

    with mock.patch.object(_validation, "_safe_split", keeping):
        yield


def what_makes_no_run():
    mlflow.sklearn.autolog()
    made = client.create_run(experiment).info.run_id
    with mlflow.start_run(run_id=made), every_part_kept():
        MinMaxScaler().fit_transform(np.ones((3, 3)))
        cross_val_score(LinearRegression(), X, Y, cv=3)
    say("preparation", told(made))
    n_before = len(mlflow.search_runs([experiment]))
    cross_val_score(LinearRegression(), X, Y, cv=3)
    say("runs of cross validation", len(mlflow.search_runs([experiment])) - n_before)


for section in (fits, params, failures, grids, choices, scores_afterwards, what_makes_no_run):
    section()
notes.tell()
