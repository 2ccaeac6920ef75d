"""Pre-trained backbones: where they come from, how they divide into stages, how they are loaded."""
