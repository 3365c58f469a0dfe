"""Decision records about models: what was chosen, from what, and why."""
