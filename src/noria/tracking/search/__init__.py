"""Search: MLflow's filter grammar, planned over indexes by value."""
