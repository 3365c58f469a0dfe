"""What Prometheus reads of a workspace, and the rules and the dashboard that go with it."""
