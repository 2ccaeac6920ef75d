"""Facts about pre-trained models, read from a file: nothing is built, fetched or imported."""
