"""Real systems that users run and copy."""
