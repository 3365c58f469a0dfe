"""Gates of a rollout: pure judgements from counts and sums.

Each gate compares the new version with the old one by always-valid intervals. It passes when the upper bound at
`confidence` is within the limit, fails when the lower bound at `abort_confidence` is beyond it, and waits otherwise.
The server judges, so all of this is plain arithmetic without NumPy.
"""

from noria.serving.gates.judging import combine, evaluate

__all__ = ["combine", "evaluate"]
