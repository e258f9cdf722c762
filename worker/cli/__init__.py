"""The command line ``tillbell``: one module per noun, one boundary where every error ends."""

from worker.cli.entry import main

__all__ = ["main"]
