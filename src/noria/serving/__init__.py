"""Endpoints, the model server, captured predictions, labels and rollouts."""
