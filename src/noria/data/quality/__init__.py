"""Rules that a version must keep, checks of them, and what a failed check blocks."""
