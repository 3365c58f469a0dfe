"""What autologging of XGBoost and LightGBM leaves on a server, read back through MLflow's client.

The arguments are the server's URI and the folder with MLflow's packages; the program runs in the environment of Noria,
which has the libraries. The cases are those that MLflow's tests of this autologging go through. The last line is what
was told, as JSON.
"""

import logging
import sys
import warnings

sys.path.append(sys.argv[2])

import matplotlib as mpl

mpl.use("Agg")
import lightgbm as lgb
import mlflow
import numpy as np
import pandas as pd
import xgboost as xgb
from mlflow import MlflowClient
from mlflow.models import Model
from mlflow_notes import Notes
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
# Which packages a model needs is found by loading it in a process of its own: ten seconds a model, the server unasked.
mlflow.models.infer_pip_requirements = lambda *_, **__: ["scikit-learn"]

notes = Notes(sys.argv[1])
say = notes.say
client = MlflowClient()
experiment = mlflow.set_experiment(notes.name("boosting")).experiment_id
iris = load_iris()
X = pd.DataFrame(iris.data[:, :2], columns=iris.feature_names[:2])
Y = iris.target
OF_THE_MACHINE = {"mlflow.source.name", "mlflow.source.git.commit", "mlflow.user", "mlflow.runName"}
XGB = {"objective": "multi:softprob", "num_class": 3, "eval_metric": ["merror", "mlogloss"], "nthread": 1}
LGB = {
    "objective": "multiclass",
    "num_class": 3,
    "metric": ["multi_error", "multi_logloss"],
    "num_threads": 1,
    "verbose": -1,
    "deterministic": True,
}


def matrix(rows=slice(None)):
    return xgb.DMatrix(X[rows], Y[rows], nthread=1)


def table(**more):
    return lgb.Dataset(X, Y, **more)


def files_of(run, path=None):
    found = []
    for each in client.list_artifacts(run, path):
        found += [each.path, *(files_of(run, each.path) if each.is_dir else [])]
    return found


def told(run_id):
    """Give all that a run tells, in a form that does not depend on the server."""
    run = client.get_run(notes.know(run_id, "run"))
    histories = {
        key: [(round(each.value, 9), each.step) for each in client.get_metric_history(run_id, key)]
        for key in sorted(run.data.metrics)
    }
    models = [client.get_logged_model(each.model_id) for each in run.outputs.model_outputs]
    for model in models:
        notes.know(model.model_id, "model")
    return {
        "params": run.data.params,
        "metrics": {key: round(value, 9) for key, value in run.data.metrics.items()},
        "histories": histories,
        "tags": {key: value for key, value in run.data.tags.items() if key not in OF_THE_MACHINE},
        "status": [run.info.status, run.info.end_time is not None],
        "data": [
            [each.dataset, {tag.key: tag.value for tag in each.tags}] for each in run.inputs.dataset_inputs
        ],
        "files": files_of(run_id),
        "models": [
            [
                each.name,
                each.model_type,
                str(each.status),
                each.params,
                sorted((one.key, round(one.value, 9), one.step) for one in each.metrics or []),
            ]
            for each in models
        ],
    }


def last(label):
    """Tell the run that autologging made, and that it ended it."""
    run_id = mlflow.last_active_run().info.run_id
    say(label, [mlflow.active_run(), told(run_id)])
    return run_id


def json_of(run_id, name):
    return mlflow.artifacts.load_dict(f"runs:/{run_id}/{name}")


def trees():
    mlflow.xgboost.autolog(extra_tags={"test_tag": "extra"}, importance_types=["weight", "total_gain"])
    model = xgb.train(XGB, matrix())
    run_id = last("defaults")
    for kind in ("weight", "total_gain"):
        same = json_of(run_id, f"feature_importance_{kind}.json") == model.get_score(importance_type=kind)
        say(f"importance by {kind}", same)
    loaded = mlflow.xgboost.load_model(f"runs:/{run_id}/model")
    say("loaded", np.allclose(loaded.predict(matrix()), model.predict(matrix())))
    with mlflow.start_run() as run:
        xgb.train(XGB, matrix(), num_boost_round=5)
        say("inside a run", mlflow.active_run().info.run_id == run.info.run_id)
    say("run around it", told(run.info.run_id))


def courses_of_trees():
    mlflow.xgboost.autolog()
    evals = [(matrix(), "train"), (matrix(slice(0, None, 3)), "valid")]
    for label, most, more in (
        ("20 rounds", 20, {}),
        ("stopped early", 60, {"early_stopping_rounds": 2, "verbose_eval": False}),
    ):
        kept = {}
        model = xgb.train(XGB, matrix(), num_boost_round=most, evals=evals, evals_result=kept, **more)
        run_id = last(label)
        best = [] if not more else [model.best_iteration]
        for name, scores in kept.items():
            for metric, values in scores.items():
                course = [each.value for each in client.get_metric_history(run_id, f"{name}-{metric}")]
                say(f"{label}: {name}-{metric}", course == values + [values[at] for at in best])
    pair = xgb.DMatrix(np.array([[0], [1]]), label=[1, 0], nthread=1)
    ranking = {"objective": "rank:pairwise", "eval_metric": ["ndcg@2", "map@3-", "error@0.4"], "nthread": 1}
    xgb.train(ranking, pair, evals=[(pair, "train")], num_boost_round=1)
    last("names with an at sign")


def estimators_of_trees():
    mlflow.xgboost.autolog(log_input_examples=True, log_model_signatures=True)
    model = xgb.XGBRegressor(n_estimators=5, reg_lambda=1, n_jobs=1)
    with mlflow.start_run() as run:
        model.fit(X, Y)
    say("estimator", told(run.info.run_id))
    uri = f"runs:/{run.info.run_id}/model"
    say("estimator loaded", np.allclose(mlflow.xgboost.load_model(uri).predict(X), model.predict(X)))
    say("signature", str(Model.load(uri).signature))
    say("predicts its example", len(mlflow.pyfunc.load_model(uri).predict(X[:5])))
    mlflow.sklearn.autolog()
    with mlflow.start_run() as run:
        make_pipeline(xgb.XGBRegressor(n_estimators=5, reg_lambda=1, n_jobs=1)).fit(X, Y)
    say("inside a pipeline", told(run.info.run_id)["params"])
    mlflow.sklearn.autolog(disable=True)
    mlflow.xgboost.autolog(registered_model_name=notes.name("trees"))
    xgb.train(XGB, matrix(), num_boost_round=1)
    version = client.get_model_version(notes.name("trees"), "1")
    say("registered", [version.status, version.current_stage, told(version.run_id)["models"]])
    mlflow.xgboost.autolog(disable=True)


def leaves():
    mlflow.lightgbm.autolog(extra_tags={"test_tag": "extra"})
    model = lgb.train(LGB, table(free_raw_data=False), num_boost_round=5)
    run_id = last("leaves")
    for kind in ("split", "gain"):
        scores = model.feature_importance(importance_type=kind).tolist()
        same = json_of(run_id, f"feature_importance_{kind}.json") == dict(
            zip(model.feature_name(), scores, strict=True)
        )
        say(f"importance by {kind}", same)
    loaded = mlflow.lightgbm.load_model(f"runs:/{run_id}/model")
    say("leaves loaded", np.allclose(loaded.predict(X), model.predict(X)))


def courses_of_leaves():
    mlflow.lightgbm.autolog(log_input_examples=True, log_model_signatures=True)
    for label, most, callbacks in (
        ("10 rounds of leaves", 10, []),
        ("leaves stopped early", 80, [lgb.early_stopping(2)]),
    ):
        kept = {}
        data = table(free_raw_data=False)
        third = lgb.Dataset(X[::3], Y[::3], reference=data, free_raw_data=False)
        lgb.train(
            LGB,
            data,
            num_boost_round=most,
            valid_sets=[data, third],
            valid_names=["train", "valid"],
            callbacks=[*callbacks, lgb.record_evaluation(kept)],
        )
        run_id = last(label)
        for name, scores in kept.items():
            for metric, values in scores.items():
                course = [each.value for each in client.get_metric_history(run_id, f"{name}-{metric}")]
                say(f"{label}: {name}-{metric}", course[: len(values)] == values)
    say("signature of leaves", str(Model.load(f"runs:/{run_id}/model").signature))
    classifier = lgb.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1, deterministic=True)
    with mlflow.start_run() as run:
        classifier.fit(X, Y)
    say("classifier of leaves", told(run.info.run_id))
    mlflow.lightgbm.autolog(log_models=False, log_datasets=False)
    lgb.train(LGB, table(), num_boost_round=2)
    last("no models and no data sets")


for section in (trees, courses_of_trees, estimators_of_trees, leaves, courses_of_leaves):
    section()
notes.tell()
