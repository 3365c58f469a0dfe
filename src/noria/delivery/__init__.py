"""What leaves the house by itself: webhooks."""
