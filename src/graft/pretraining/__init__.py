"""Pre-training: losses between two views of a picture, projectors, views, the collapse monitor."""
