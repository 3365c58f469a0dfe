"""Where and when the steps of a pipeline run: here, in processes of this machine, on a cluster."""
