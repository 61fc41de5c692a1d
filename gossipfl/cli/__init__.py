"""The command line: app.py puts it together, and every command has a file of its own."""

from gossipfl.cli.app import main

__all__ = ["main"]
