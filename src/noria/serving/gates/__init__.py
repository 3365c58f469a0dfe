"""Gates of a rollout: pure judgements from counts and sums.

Each gate compares the new version with the old one by one-sided bounds. It passes when the bound at `confidence` is
within the limit, fails when the opposite bound at `abort_confidence` is beyond it, and waits otherwise. The server
judges, so all of this is plain arithmetic without NumPy.
"""

from noria.serving.gates.judging import combine, evaluate

__all__ = ["combine", "evaluate"]
