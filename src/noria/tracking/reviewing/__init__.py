"""How applications are judged by their traces: scorers, questions for reviewers, and queues of traces to review."""
