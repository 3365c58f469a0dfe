"""Reports: two tables compared column by column, shown on a terminal, as JSON, or as one HTML file."""
