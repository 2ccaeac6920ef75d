"""Rows of numbers on disk, found by everything that determines them; numpy and files, no torch."""
