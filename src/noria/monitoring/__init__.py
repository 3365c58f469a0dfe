"""Windows over captured traffic: drift, labelled quality, alerts."""
