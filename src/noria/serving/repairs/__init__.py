"""Repairs of inputs in the live path: what a sender broke is put right before the model sees it."""
