"""One file per verb: what the entrances and users call."""
