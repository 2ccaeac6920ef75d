"""Put the backbone of a `graft pretrain` run into the package, as `graft-small`.

    python tools/ship_backbone.py RUN

writes `src/graft/backbones/graft_small.safetensors` in half precision and, beside it,
`graft_small.json` with the recipe, the seed, the hours and what the run measured. Measure it with
`python -m benchmarks.quality graft-small` before it is committed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file

from graft.backbones.saved import BODY
from graft.files import sha256
from graft.run import Run, read_lines

PLACE = Path(__file__).parent.parent / "src/graft/backbones"
LARGEST = 4_000_000


def main() -> None:
    """Read the run's folder from the command line and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    run = Run.open(parser.parse_args().run)
    state = {
        name.removeprefix(BODY): tensor.half()
        for name, tensor in load_file(run.model / "model.safetensors").items()
        if tensor.is_floating_point()
    }
    lost = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if lost:
        raise SystemExit(f"{', '.join(lost)} cannot be stored in half precision.")
    weights = PLACE / "graft_small.safetensors"
    save_file(state, weights)
    if weights.stat().st_size > LARGEST:
        raise SystemExit(f"{weights} has {weights.stat().st_size:,} bytes, more than {LARGEST:,}.")
    facts = run.state()
    lines = list(read_lines(run.metrics))
    record = {
        "sha256": sha256(weights),
        "recipe": yaml.safe_load(run.recipe.read_text(encoding="utf-8")),
        "versions": facts["versions"],
        "hours": round(sum(line["seconds"] for line in lines) / 3600, 2),
        "images": facts["result"]["images_per_epoch"] * facts["result"]["epochs"],
        "known": lines[-1]["known"],
        "effective_rank": lines[-1]["effective_rank"],
    }
    (PLACE / "graft_small.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"{weights}: {weights.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
