"""Other places that versions of datasets are sent to and brought from: folders and buckets."""
