"""Windows of captured rows: counters kept by version and segment, and what is told from them."""
