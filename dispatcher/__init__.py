"""Floor 2: from a committed event to a settled attempt."""
