"""Floor 4: HTTP; in this slice health, readiness and metrics."""
