"""Let the reference show a docstring's "Example:" as code, as it does "Examples:"."""

from __future__ import annotations

from typing import Any

import griffe


class Examples(griffe.Extension):
    """Read both headings alike."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Look at an object's docstring."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("Example:\n", "Examples:\n")
