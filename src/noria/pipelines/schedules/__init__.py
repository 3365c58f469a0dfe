"""Schedules: pipelines that run by the clock or after something happened."""
