"""Measures Graft against its peers and against what the machine allows. See README.md."""
