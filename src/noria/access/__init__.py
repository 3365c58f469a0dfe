"""Projects, users, roles, tokens, and the audit of the event log."""
