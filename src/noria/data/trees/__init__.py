"""Files and folders of a user as versions of datasets: what was added, what changed since, and where it goes."""
