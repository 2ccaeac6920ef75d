"""`python -m graft` is `graft`."""

from graft.cli.process import run

run()
