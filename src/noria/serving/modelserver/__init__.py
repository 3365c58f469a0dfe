"""The model server: its own process, which answers predictions and keeps what it answered."""
