"""Every address of a page. Templates and pages ask here; no other module joins paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

from noria.core.web.assets import asset_path, has_asset
from noria.core.web.languages import Language

LANGUAGE_PARAMETER = "lang"

OVERVIEW_PATH = "/"
PROJECT_PATH = "/projects/{project}"
EXPERIMENTS_PATH = "/projects/{project}/experiments"
EXPERIMENT_PATH = "/projects/{project}/experiments/{experiment}"
RUN_PATH = "/projects/{project}/runs/{run_id}"
COMPARE_PATH = "/projects/{project}/compare"
MODELS_PATH = "/projects/{project}/models"
MODEL_PATH = "/projects/{project}/models/{model}"
VERSION_PATH = "/projects/{project}/models/{model}/versions/{version}"
DELETED_MODEL_PATH = "/projects/{project}/deleted-models/{model_id}"
DATASETS_PATH = "/projects/{project}/datasets"
DATASET_PATH = "/projects/{project}/datasets/{dataset}"
DATASET_VERSION_PATH = "/projects/{project}/datasets/{dataset}/versions/{version}"
DATASET_DIFF_PATH = f"{DATASET_VERSION_PATH}/diff"
ENDPOINTS_PATH = "/projects/{project}/endpoints"
ENDPOINT_PATH = "/projects/{project}/endpoints/{endpoint}"
ROLLOUT_PATH = "/projects/{project}/rollouts/{rollout_id}"
PIPELINES_PATH = "/projects/{project}/pipelines"
PIPELINE_PATH = "/projects/{project}/pipelines/{pipeline}"
PIPELINE_RUN_PATH = "/projects/{project}/pipeline-runs/{pipeline_run}"
SCHEDULES_PATH = "/projects/{project}/schedules"
SCHEDULE_PATH = "/projects/{project}/schedules/{schedule}"
BATCHES_PATH = "/projects/{project}/batches"
BATCH_PATH = "/projects/{project}/batches/{batch}"
INCIDENTS_PATH = "/projects/{project}/incidents"
INCIDENT_PATH = "/projects/{project}/incidents/{incident}"
DECISION_PATH = "/decisions/{project}/{record_id}"
COMMENTS_PATH = "/projects/{project}/comments"
COMMENT_PATH = "/projects/{project}/comments/{comment_id}"
LIVE_PATH = "/projects/{project}/live"
AUDIT_PATH = "/projects/{project}/audit"
SEARCH_PATH = "/search"
SIGN_IN_PATH = "/sign-in"
SIGN_OUT_PATH = "/sign-out"
PREFERENCES_PATH = "/preferences"
ACCOUNT_PATH = "/account"
PASSWORD_PATH = "/account/password"  # noqa: S105 - an address
END_SESSION_PATH = "/account/sessions/{session_id}/end"
TOKENS_PATH = "/account/tokens"
REVOKE_TOKEN_PATH = "/account/tokens/{token_id}/revoke"  # noqa: S105 - an address

_LOCAL = re.compile(r"/(?!/)[^\\\x00-\x20\x7f-\U0010ffff]*")
"""A path from the root. `//host` and `/\\host` name another server, and browsers drop tabs and line ends."""

Given = Mapping[str, str | Sequence[str] | None]
"""Query parameters of a link; None leaves one out, and a list repeats one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Makes addresses that keep the language which the reader chose.

    Attributes
    ----------
    language
        As the address of the present page says it; None when the browser chose.
    """

    language: Language | None = None

    def overview(self, project: str | None = None, *, after: str | None = None) -> str:
        """Give the overview of a project, or of the first one; `after` names the model that the list follows."""
        path = OVERVIEW_PATH if project is None else PROJECT_PATH.format(project=_part(project))
        return self._with_query(path, {"after": after})

    def experiments(self, project: str, **given: str | None) -> str:
        """Give the list of a project's experiments."""
        return self._to(EXPERIMENTS_PATH, given, project=project)

    def experiment(
        self, project: str, experiment: str, part: str = "", **given: str | Sequence[str] | None
    ) -> str:
        """Give the table of an experiment's runs, or the address of something that is done with it: `rename`."""
        path = f"{EXPERIMENT_PATH}/{part}" if part else EXPERIMENT_PATH
        return self._to(path, given, project=project, experiment=experiment)

    def run(self, project: str, run_id: str, part: str = "", **given: str | Sequence[str] | None) -> str:
        """Give the page of a run, or a part of it: `metrics`, `artifacts`, `code`, `console`, `system` and so on.

        What the page can do stands below it too: `rename`, `tag`, `untag`, `describe`, `delete`, `restore`, `end`.
        """
        return self._to(f"{RUN_PATH}/{part}" if part else RUN_PATH, given, project=project, run_id=run_id)

    def run_file(self, project: str, run_id: str, path: str) -> str:
        """Give the bytes of a run's file, as programs read them; a browser takes them as an attachment."""
        query = urlencode({"of": f"run:{run_id}", "path": path})
        return f"/api/v1/projects/{_part(project)}/artifacts/file?{query}"

    def run_document(self, project: str, run_id: str, path: str) -> str:
        """Give a run's file of HTML, shown alone in a sandbox."""
        return f"/documents/{_part(project)}/{_part(run_id)}/{quote(path)}"

    def compare(self, project: str, **given: str | Sequence[str] | None) -> str:
        """Give the comparison of runs: `runs=[…]`, or `experiment=…` with a `filter=…`."""
        return self._to(COMPARE_PATH, given, project=project)

    def models(self, project: str, **given: str | None) -> str:
        """Give the list of a project's models."""
        return self._to(MODELS_PATH, given, project=project)

    def model(self, project: str, model: str, part: str = "", **given: str | None) -> str:
        """Give the page of a model, or the address of something that is done with it: `alias`."""
        path = f"{MODEL_PATH}/{part}" if part else MODEL_PATH
        return self._to(path, given, project=project, model=model)

    def restore_model(self, project: str, model_id: str) -> str:
        """Give the action that brings a deleted model back."""
        return self._to(f"{DELETED_MODEL_PATH}/restore", {}, project=project, model_id=model_id)

    def version(self, project: str, model: str, version: int, part: str = "", **given: str | None) -> str:
        """Give the page of a version of a model, or the address of something that is done with it: `tag`."""
        path = f"{VERSION_PATH}/{part}" if part else VERSION_PATH
        return self._to(path, given, project=project, model=model, version=str(version))

    def datasets(self, project: str, **given: str | None) -> str:
        """Give the list of a project's data sets."""
        return self._to(DATASETS_PATH, given, project=project)

    def dataset(self, project: str, dataset: str, **given: str | None) -> str:
        """Give the page of a data set."""
        return self._to(DATASET_PATH, given, project=project, dataset=dataset)

    def dataset_version(self, project: str, dataset: str, version: int, **given: str | None) -> str:
        """Give the page of a version of a data set."""
        return self._to(DATASET_VERSION_PATH, given, project=project, dataset=dataset, version=str(version))

    def dataset_diff(self, project: str, dataset: str, version: int, **given: str | None) -> str:
        """Give the page of what a version changed; `against=` names another one than the version before."""
        return self._to(DATASET_DIFF_PATH, given, project=project, dataset=dataset, version=str(version))

    def endpoints(self, project: str, **given: str | None) -> str:
        """Give the list of a project's endpoints."""
        return self._to(ENDPOINTS_PATH, given, project=project)

    def endpoint(self, project: str, endpoint: str, part: str = "", **given: str | None) -> str:
        """Give the page of an endpoint, or the address of something that is done with it: `rollback`."""
        path = f"{ENDPOINT_PATH}/{part}" if part else ENDPOINT_PATH
        return self._to(path, given, project=project, endpoint=endpoint)

    def rollout(self, project: str, rollout_id: str, part: str = "", **given: str | None) -> str:
        """Give the page of a rollout, or the address of something that is done with it: `pause`."""
        path = f"{ROLLOUT_PATH}/{part}" if part else ROLLOUT_PATH
        return self._to(path, given, project=project, rollout_id=rollout_id)

    def pipelines(self, project: str, **given: str | None) -> str:
        """Give the list of the pipelines that have run."""
        return self._to(PIPELINES_PATH, given, project=project)

    def pipeline(self, project: str, pipeline: str, **given: str | None) -> str:
        """Give the runs of a pipeline, which is named `module:name`."""
        return self._to(PIPELINE_PATH, given, project=project, pipeline=pipeline)

    def pipeline_run(self, project: str, run_id: str, **given: str | None) -> str:
        """Give the graph and the steps of a pipeline's run."""
        return self._to(PIPELINE_RUN_PATH, given, project=project, pipeline_run=run_id)

    def schedules(self, project: str, **given: str | None) -> str:
        """Give the list of a project's schedules."""
        return self._to(SCHEDULES_PATH, given, project=project)

    def schedule(self, project: str, schedule: str, part: str = "", **given: str | None) -> str:
        """Give the page of a schedule, or the address of something that is done with it: `pause`, `resume`, `run`."""
        path = f"{SCHEDULE_PATH}/{part}" if part else SCHEDULE_PATH
        return self._to(path, given, project=project, schedule=schedule)

    def batches(self, project: str, **given: str | None) -> str:
        """Give the list of a project's batches and batch runs."""
        return self._to(BATCHES_PATH, given, project=project)

    def batch(self, project: str, batch: str, **given: str | None) -> str:
        """Give the page of a named batch."""
        return self._to(BATCH_PATH, given, project=project, batch=batch)

    def incidents(self, project: str, **given: str | None) -> str:
        """Give the list of a project's incidents."""
        return self._to(INCIDENTS_PATH, given, project=project)

    def incident(self, project: str, incident: str, part: str = "", **given: str | None) -> str:
        """Give the page of an incident, or the address of something that is done with it: `close`."""
        path = f"{INCIDENT_PATH}/{part}" if part else INCIDENT_PATH
        return self._to(path, given, project=project, incident=incident)

    def decision(self, project: str, record_id: str, part: str = "") -> str:
        """Give the story of a decision, or the address of an answer to what it asks: `approve`, `reject`."""
        path = f"{DECISION_PATH}/{part}" if part else DECISION_PATH
        return self._to(path, {}, project=project, record_id=record_id)

    def comments(self, project: str) -> str:
        """Give the action that says something about a thing of a project."""
        return self._to(COMMENTS_PATH, {}, project=project)

    def comment(self, project: str, comment_id: str, part: str) -> str:
        """Give the address of something that is done with a comment: `edit`, `remove`, `restore`."""
        return self._to(f"{COMMENT_PATH}/{part}", {}, project=project, comment_id=comment_id)

    def audit(self, project: str, **given: str | None) -> str:
        """Give what happened in a project, newest first."""
        return self._to(AUDIT_PATH, given, project=project)

    def search(self, **given: str | None) -> str:
        """Give the search over everything; `q` is what to look for."""
        return self._to(SEARCH_PATH, given)

    def sign_in(self, *, to: str | None = None) -> str:
        """Give the page to sign in; `to` is the address to go on to."""
        return self._to(SIGN_IN_PATH, {"to": to})

    def sign_out(self) -> str:
        """Give the address that ends the session."""
        return self._to(SIGN_OUT_PATH, {})

    def account(self) -> str:
        """Give the reader's own page."""
        return self._to(ACCOUNT_PATH, {})

    def password(self) -> str:
        """Give the action that changes the reader's password."""
        return self._to(PASSWORD_PATH, {})

    def end_session(self, session_id: str) -> str:
        """Give the action that ends a session of the reader."""
        return self._to(END_SESSION_PATH, {}, session_id=session_id)

    def tokens(self, **given: str | None) -> str:
        """Give the reader's tokens."""
        return self._to(TOKENS_PATH, given)

    def revoke_token(self, token_id: str) -> str:
        """Give the action that ends a token."""
        return self._to(REVOKE_TOKEN_PATH, {}, token_id=token_id)

    def record_json(self, project: str, record_id: str) -> str:
        """Give a decision record as programs read it."""
        return f"/api/v1/projects/{_part(project)}/decision-records/{_part(record_id)}"

    def asset(self, name: str) -> str:
        """Give a static file, in an address that changes with its content."""
        return asset_path(name)

    def has_asset(self, name: str) -> bool:
        """Tell whether there is such a static file."""
        return has_asset(name)

    def live(self, project: str) -> str:
        """Give the stream that tells when something in a project changed."""
        return LIVE_PATH.format(project=_part(project))

    def in_language(self, here: str, language: Language) -> str:
        """Give an address of ours in another language.

        Examples
        --------
        >>> Urls().in_language("/?after=a%2Fb", Language.SPANISH)
        '/?after=a%2Fb&lang=es'
        """
        return with_parameter(here, LANGUAGE_PARAMETER, language.value)

    def preferences(self) -> str:
        """Give the action that keeps the theme and the language."""
        return self._to(PREFERENCES_PATH, {})

    def _to(self, path: str, given: Given, **parts: str) -> str:
        return self._with_query(path.format(**{name: _part(value) for name, value in parts.items()}), given)

    def _with_query(self, path: str, given: Given) -> str:
        pairs = [
            (name, value)
            for name, values in given.items()
            if values is not None
            for value in ([values] if isinstance(values, str) else values)
        ]
        if self.language is not None:
            pairs.append((LANGUAGE_PARAMETER, self.language.value))
        if not pairs:
            return path
        return f"{path}?{'&'.join([f'{name}={_quoted(value)}' for name, value in pairs])}"


def is_local(address: str) -> bool:
    r"""Tell whether an address leads to a page of this server, whatever a browser makes of it.

    Examples
    --------
    >>> is_local("/projects/a?x=1"), is_local("//evil.example"), is_local("/\\evil.example"), is_local("https:/x")
    (True, False, False, False)
    """
    return _LOCAL.fullmatch(address) is not None


def without_parameter(here: str, name: str) -> str:
    """Give an address of ours without one of its query parameters.

    Examples
    --------
    >>> without_parameter("/?lang=es&after=a%2Fb", "lang"), without_parameter("/?lang=es", "lang")
    ('/?after=a%2Fb', '/')
    """
    path, _, query = here.partition("?")
    kept = [(key, value) for key, value in parse_qsl(query, keep_blank_values=True) if key != name]
    return f"{path}?{urlencode(kept)}" if kept else path


def with_parameter(here: str, name: str, value: str) -> str:
    """Give an address of ours with a query parameter in place of what it had of that name.

    Examples
    --------
    >>> with_parameter("/?a=1", "a", "2"), with_parameter("/", "a", "b/c")
    ('/?a=2', '/?a=b%2Fc')
    """
    kept = without_parameter(here, name)
    return f"{kept}{'&' if '?' in kept else '?'}{urlencode({name: value})}"


def _part(text: str) -> str:
    # Ids, of which a long table has an address each, are what they are.
    return text if text.isascii() and text.isalnum() else quote(text, safe="")


def _quoted(text: str) -> str:
    # Each heading of a table leads to an address that names all its columns.
    return _quoted_once(text) if len(text) <= _SHORT else quote_plus(text)


_SHORT = 100
_quoted_once = lru_cache(maxsize=4_096)(quote_plus)
