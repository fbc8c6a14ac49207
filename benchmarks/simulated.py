"""Simulated thick test stacks of a seed never trained on: RMSE and SSIM of wide-field and of the bundled model.

Usage: napari-deep3d simulate -o data/test --pairs 16 --shape 64,144,144 --seed 7001 --from CELLS3D
       python benchmarks/simulated.py data/test [--model NAME_OR_FILE]
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from napari_deep3d import predict
from napari_deep3d.core.metrics import intensity_range, normalise, score
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.pairs import read_pairs

PERCENTILES = (0.1, 99.9)


def kind_of(path: Path) -> str:
    """Kind of sample and whether it scatters, from the file's own description."""
    import tifffile

    text = tifffile.TiffFile(path).ome_metadata or ""
    kind = next((k for k in ("nuclei", "neurons", "confocal") if f'"kind": "{k}"' in text.replace("&quot;", '"')), "?")
    clear = '"mean_free_path_um": 1000000.0' in text.replace("&quot;", '"')
    return f"{kind}, {'clear' if clear else 'scattering'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="generalist")
    chosen = parser.parse_args()
    scores: dict[str, list[list[float]]] = defaultdict(list)
    for pair in read_pairs(chosen.folder, PERCENTILES):
        path = chosen.folder / "widefield" / pair.name
        widefield = np.asarray(open_stack(path).volume().data[:, :, :], dtype=np.float32)
        truth = normalise(np.asarray(pair.confocal.data[:, :, :]), pair.confocal_range)
        before = score(normalise(widefield, intensity_range(widefield, PERCENTILES)), truth)
        after = score(predict(path, model=chosen.model).data, truth)
        row = [before.rmse_fit, after.rmse_fit, after.rmse, before.ssim_fit, after.ssim_fit, after.ssim]
        for group in (kind_of(path), "all"):
            scores[group].append(row)
        print(pair.name, kind_of(path), np.round(row, 4).tolist(), flush=True)
    names = ("rmse_widefield_fit", "rmse_fit", "rmse", "ssim_widefield_fit", "ssim_fit", "ssim")
    for group, rows in sorted(scores.items()):
        mean = np.mean(rows, axis=0)
        fall = 1 - mean[1] / mean[0]
        values = {name: round(float(v), 4) for name, v in zip(names, mean, strict=True)}
        print(f"{group} ({len(rows)} stacks): {json.dumps(values)}; RMSE falls by {fall:.0%}")


if __name__ == "__main__":
    main()
