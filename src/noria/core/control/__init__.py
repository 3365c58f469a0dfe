"""Long-lived logic as durable workflows: declared here, run by one loop per workspace."""
