"""The cut-point cache: frozen layers are computed once, and their outputs kept."""
