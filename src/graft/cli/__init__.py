"""The command line: parses, calls a workflow, shows. No logic."""
