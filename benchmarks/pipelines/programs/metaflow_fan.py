"""A hundred steps at once in Metaflow."""

from metaflow import FlowSpec, step


class Fan(FlowSpec):
    """`start`, a hundred times `add_one`, `add_up`."""

    @step
    def start(self):
        """Give a hundred numbers."""
        self.numbers = list(range(100))
        self.next(self.add_one, foreach="numbers")

    @step
    def add_one(self):
        """Count up."""
        self.found = self.input + 1
        self.next(self.add_up)

    @step
    def add_up(self, inputs):
        """Add."""
        self.total = sum(each.found for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        """Check."""
        assert self.total == 5050


if __name__ == "__main__":
    Fan()
