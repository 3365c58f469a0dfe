"""The digits story: a model meets a digit that it never saw, and Noria puts it right."""
