"""What leaves the house: calls to webhooks, manifests for Kubernetes, folders that images are built from."""
