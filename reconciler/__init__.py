"""Floor 3: what time and drift make true: due, overdue, low, missed."""
