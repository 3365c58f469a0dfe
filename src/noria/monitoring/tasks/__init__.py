"""What a model is for beyond its type: models that forecast, and models without a target."""
