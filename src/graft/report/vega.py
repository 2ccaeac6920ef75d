"""A script, run by `charts.py` and never imported: charts from standard input to standard output.

It loads vl-convert and nothing of Graft, and writes its answer as one JSON list.
"""

from __future__ import annotations

import base64
import json
import sys


def main() -> None:
    """Draw what is asked for with the modules that the asking process finds."""
    request = json.load(sys.stdin)
    sys.path[:] = request["path"]
    import vl_convert

    draw = vl_convert.vegalite_to_png if request["form"] == "png" else vl_convert.vegalite_to_svg
    drawn = [draw(spec, allowed_base_urls=[], **request["options"]) for spec in request["specs"]]
    json.dump(
        [d if isinstance(d, str) else base64.b64encode(d).decode() for d in drawn], sys.stdout
    )


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split())[:300])
