"""Rollouts: how a version takes the place of another behind an endpoint."""
