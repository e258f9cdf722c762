"""Floor 4: processes and the command line; where everything is put together."""
