"""The log of every change of state."""
