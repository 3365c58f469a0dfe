"""Alerts: grouped by their cause, kept quiet by silences, resolved by themselves, and told to receivers."""
