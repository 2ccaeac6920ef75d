"""Pre-training: the loop, where its pictures come from, what it minimises, the collapse monitor."""
