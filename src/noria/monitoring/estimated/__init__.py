"""Quality without labels: estimates, and what they suppose."""
