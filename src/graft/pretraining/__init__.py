"""Pre-training: the loop, where its images come from, what it minimises, the collapse monitor."""
