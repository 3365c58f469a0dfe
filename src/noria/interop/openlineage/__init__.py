"""OpenLineage: what runs read and made, told to a collector over HTTP (specification 2-0-2)."""
