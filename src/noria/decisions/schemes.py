"""Which rows are worth a fit, by what may have happened to them."""

from __future__ import annotations

from collections.abc import Mapping

from noria.decisions.entities import FITTED, LEAST_PROBABILITY, Cause, Scheme


def schemes_for(causes: Mapping[Cause, float], *, cheap: bool = False) -> list[Scheme]:
    """Give the ways to teach anew that are worth a fit.

    As long as labels given inputs are what they were, old rows only help, and a few new ones alone would forget what
    the rest say. Where they may have changed, new rows alone may teach better.

    Parameters
    ----------
    cheap
        Whether a fit costs no run of a pipeline. Then new rows that weigh as much as the old ones are tried whatever
        happened, and else only where inputs lie elsewhere.

    Examples
    --------
    >>> [scheme.value for scheme in schemes_for({Cause.CONCEPT_DRIFT: 0.8, Cause.UNKNOWN: 0.2})]
    ['all', 'recent', 'weighted']
    >>> [scheme.value for scheme in schemes_for({Cause.COVARIATE_DRIFT: 1.0})]
    ['all', 'weighted']
    """
    if causes.get(Cause.CONCEPT_DRIFT, 0.0) >= LEAST_PROBABILITY:
        return list(FITTED)
    elsewhere = causes.get(Cause.COVARIATE_DRIFT, 0.0) >= LEAST_PROBABILITY
    return [Scheme.ALL, Scheme.WEIGHTED] if cheap or elsewhere else [Scheme.ALL]
