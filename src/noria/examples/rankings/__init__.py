"""A study of university rankings, published once with single draws: done again with intervals, and mended."""
