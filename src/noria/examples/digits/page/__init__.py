"""A web page to draw digits on, which asks an endpoint of Noria what they are."""
