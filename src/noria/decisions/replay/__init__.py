"""Replay: recorded history through the whole loop, monitors, diagnosis, trials and simulated action included."""
