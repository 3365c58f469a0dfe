"""MLflow's REST protocol, spoken by an adapter over the services of tracking, registry and delivery."""
