"""How long labels take to come, and what share of them is there by now."""
