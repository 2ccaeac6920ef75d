"""Images: found, checked, split, decoded, augmented and batched."""
