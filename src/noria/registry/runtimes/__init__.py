"""Load and predict, by format."""
