"""Floor 0: settings, logging and the clock; nothing of ours is imported here."""
