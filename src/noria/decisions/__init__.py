"""From a symptom to its cause, the remedy, the trial, the action and the proof."""
