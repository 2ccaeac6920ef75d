"""What becomes of a run on paper: one offline page, and a summary for the terminal.

Everything here works from plain documents and files. No torch, no model, no network.
"""
