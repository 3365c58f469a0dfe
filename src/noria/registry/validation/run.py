"""Try a version: every check of the plan and of own suites, whatever the model does."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noria.registry import golden
from noria.registry.entities import ServableVersion
from noria.registry.equality import read_equality
from noria.registry.validation.bench import Bench, Measured, made_up_rows
from noria.registry.validation.entities import Check, NewReport, Outcome, OwnSuite, ValidationSection
from noria.registry.validation.judging import OWN_FAMILY, judged
from noria.registry.validation.plan import PLAN, Planned
from noria.registry.validation.port import OwnAnswer, Subject, SubjectGone, SubjectRaised
from noria.registry.validation.sandbox import Sandbox
from noria.registry.validation.words import (
    LEFT_OUT,
    NOT_LOADED,
    NOT_REACHED,
    OWN_FALSE,
    OWN_RAISED,
    OWN_SAID,
    OWN_TRUE,
    OWN_VALUE,
    RAISED,
)

_SEED = 7  # any: a validation repeated on the same files asks the same questions
_MOST_LOST = 6
_SHOWN = ("noria", "numpy", "scikit-learn")

Told = Callable[[Check], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteText:
    """An own suite: its name, its text, and where what it imports is found."""

    name: str
    source: str
    folder: str | None = None


def validate(
    folder: Path,
    version: ServableVersion,
    settings: ValidationSection,
    suites: Sequence[SuiteText] = (),
    *,
    told: Told = lambda _: None,
) -> NewReport:
    """Try the verified files of a version, the model being in a process of its own.

    Parameters
    ----------
    told
        Is given each check when it is made.
    """
    sandbox = Sandbox(
        folder,
        version,
        call_timeout_s=settings.call_timeout_s,
        memory_mb=settings.limits.memory_mb,
        environ=os.environ,
    )
    try:
        return tried(bench_of(folder, version, settings), sandbox, suites, told=told)
    finally:
        sandbox.close()


def bench_of(folder: Path, version: ServableVersion, settings: ValidationSection) -> Bench:
    """Gather what checks are made of from a version's files."""
    sample = golden.load_reference_sample(folder)
    rng = np.random.default_rng(_SEED)
    reference = target = None
    if sample is None:
        rows = made_up_rows(version.signature, settings.rows, rng)
    else:
        reference, target = dict(sample.inputs), np.asarray(sample.target)
        chosen = golden.choose_rows(len(target), settings.rows, _SEED)
        rows = {name: array[chosen] for name, array in reference.items()}
    return Bench(
        version=version,
        settings=settings,
        rows=rows,
        reference=reference,
        target=target,
        held_out=golden.load_held_out_sample(folder),
        golden=golden.load_golden(folder),
        equality=read_equality(folder),
        rng=rng,
    )


def tried(
    bench: Bench, subject: Subject, suites: Sequence[SuiteText] = (), *, told: Told = lambda _: None
) -> NewReport:
    """Make every check, and tell what came of it."""
    trial = _Trial(bench, subject, told)
    for planned in PLAN:
        trial.make(planned)
    for suite in suites:
        trial.run_suite(suite)
    return NewReport(
        digest=bench.version.digest,
        engine=subject.engine,
        made_up=bench.reference is None,
        n_rows=bench.n,
        checks=trial.checks,
        suites=[
            OwnSuite(name=suite.name, digest=f"sha256:{hashlib.sha256(suite.source.encode()).hexdigest()}")
            for suite in suites
        ],
        seconds=round(trial.seconds, 3),
        made_with={"python": platform.python_version(), **_versions()},
    )


class _Trial:
    """Makes checks one after the other; gives up after too many lost processes, or at the end of its time."""

    def __init__(self, bench: Bench, subject: Subject, told: Told) -> None:
        self.checks: list[Check] = []
        self._bench = bench
        self._subject = subject
        self._told = told
        self._began = time.monotonic()
        self._n_lost = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def make(self, planned: Planned) -> None:
        """Make a check of the plan."""
        settings = self._bench.settings
        limit = getattr(settings.limits, planned.name)
        check = Check(name=planned.name, family=planned.family, outcome=Outcome.UNMEASURED, limit=limit)
        if planned.name in settings.skip:
            self._keep(check, Outcome.LEFT_OUT, LEFT_OUT)
        elif self._is_over:
            self._keep(check, Outcome.UNMEASURED, NOT_REACHED)
        else:
            self._measure(check, planned)

    def run_suite(self, suite: SuiteText) -> None:
        """Run the checks of an own suite."""
        whole = Check(name=suite.name, family=OWN_FAMILY, outcome=Outcome.UNMEASURED)
        if self._is_over:
            self._keep(whole, Outcome.UNMEASURED, NOT_REACHED)
            return
        data = self._bench.reference or self._bench.rows
        try:
            found = self._subject.own(suite.source, suite.name, suite.folder, data, self._bench.target)
        except SubjectRaised as error:
            self._keep(whole, Outcome.BROKEN, OWN_RAISED, {"error": str(error)})
        except SubjectGone as error:
            self._lose(whole, error)
        else:
            for answer in found:
                self._take_own(answer)

    @property
    def _is_over(self) -> bool:
        return self._n_lost >= _MOST_LOST or self.seconds > self._bench.settings.timeout_s

    def _measure(self, check: Check, planned: Planned) -> None:
        at = self.seconds
        try:
            found = planned.measure(self._bench, self._subject)
        except SubjectRaised as error:
            self._keep(check, Outcome.BROKEN, RAISED, {"error": str(error)}, at=at)
        except SubjectGone as error:
            self._lose(check, error, at=at)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            # What the model answered does not have the form of an answer, so that it could not be looked through.
            said = f"{type(error).__name__}: {error}"
            self._keep(check, Outcome.BROKEN, RAISED, {"error": said}, at=at)
        else:
            self._take(check, found, at)

    def _take(self, check: Check, found: Measured, at: float) -> None:
        outcome = judged(found.value, check.limit)
        self._keep(check, outcome, found.words, found.values, found.details, value=found.value, at=at)

    def _take_own(self, answer: OwnAnswer) -> None:
        limit = answer.at_most if answer.at_most is not None else answer.at_least
        check = Check(name=answer.name, family=OWN_FAMILY, outcome=Outcome.UNMEASURED, limit=limit)
        details = [(answer.title, _bounds(answer))]
        if answer.raised:
            self._keep(check, Outcome.BROKEN, OWN_RAISED, {"error": answer.raised}, details)
        elif answer.value is not None:
            values: dict[str, str | int | float] = {"value": f"{answer.value:.4g}"}
            outcome = Outcome.PASSED if _keeps_bounds(answer, answer.value) else Outcome.FAILED
            self._keep(check, outcome, OWN_VALUE, values, details, value=answer.value)
        elif answer.said:
            self._keep(check, Outcome.FAILED, OWN_SAID, {"said": answer.said}, details)
        elif answer.holds:
            self._keep(check, Outcome.PASSED, OWN_TRUE, details=details)
        else:
            self._keep(check, Outcome.FAILED, OWN_FALSE, details=details)

    def _lose(self, check: Check, error: SubjectGone, at: float | None = None) -> None:
        # What cannot be loaded will not be loaded by the next check either.
        self._n_lost += _MOST_LOST if error.words == NOT_LOADED else 1
        self._keep(check, Outcome.BROKEN, error.words, error.values, at=at)

    def _keep(
        self,
        check: Check,
        outcome: Outcome,
        words: str,
        values: dict[str, str | int | float] | None = None,
        details: Sequence[tuple[str, str]] = (),
        *,
        value: float | None = None,
        at: float | None = None,
    ) -> None:
        made = Check(
            name=check.name,
            family=check.family,
            outcome=outcome,
            value=value,
            limit=check.limit,
            words=words,
            values=values or {},
            details=[(label[:200], said[:300]) for label, said in details],
            seconds=0.0 if at is None else round(self.seconds - at, 3),
        )
        self.checks.append(made)
        self._told(made)


def _keeps_bounds(answer: OwnAnswer, value: float) -> bool:
    high = answer.at_most is None or value <= answer.at_most
    return high and (answer.at_least is None or value >= answer.at_least)


def _bounds(answer: OwnAnswer) -> str:
    bounds: list[tuple[str, Any]] = [("≤", answer.at_most), ("≥", answer.at_least)]
    return " ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def _versions() -> dict[str, str]:
    found = {}
    for name in _SHOWN:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
