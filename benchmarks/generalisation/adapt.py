"""Adapt a model to stacks of foreign simulators, and score it on their truth before and after.

Usage: python -m benchmarks.generalisation.adapt [FOLDER] [--model NAME] [--stacks 6] [--minutes 20] [--lens 1.0]
           [--only NAME ...] [-o runs/adapt] [--table docs/data/adapt.csv]

The program is told what the microscope's owner knows: NA, immersion, wavelength and voxel size; with ``--lens 1.15`` an
NA that is 15 % too large, or as large as the immersion allows. It never sees the truth. RMSE as a share of wide-field's
and SSIM, both after the best scale and offset, beside what the program itself says on its simulated pairs. Stacks that
were adapted to are passed over in a second call with the same folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.scores import scaled
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from benchmarks.generalisation.foreign import CHOOSING
from benchmarks.generalisation.foreign_simulator import ABOUT
from napari_deep3d import adapt, predict
from napari_deep3d.core import DEFAULT_MODEL, Progress, Volume
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

HIGHEST_APERTURE = 0.98
"""Share of the immersion's index that a wrong NA has at most."""
COLUMNS = {
    "stack": "{stack}",
    "kind": "{kind}",
    "lens": "{scope}",
    "NA told": "{lens:.0%}",
    "before": "{before_share:.0%}, {before_ssim:.3f}",
    "after": "{after_share:.0%}, {after_ssim:.3f}",
    "its own test before": "{simulated_before:.4f}",
    "after ": "{simulated_after:.4f}",
    "kept": "{kept}",
    "minutes": "{minutes:.0f}",
}


def scores(widefield: Volume, truth: Volume, model: str) -> tuple[float, float]:
    """RMSE as a share of wide-field's, and SSIM, of what a model makes of a stack."""
    true = scaled(np.asarray(truth.data))
    made = predict(np.asarray(widefield.data), spacing_um=widefield.require_spacing_um(), model=model).data
    found, baseline = score(np.asarray(made), true), score(scaled(np.asarray(widefield.data)), true)
    return found.rmse_fit / baseline.rmse_fit, found.ssim_fit


def adapt_row(folder: Path, name: str, run: Path, chosen: argparse.Namespace) -> Row:
    """Adapt to one stack, and score the model before and after."""
    about = json.loads((folder / ABOUT / name).with_suffix(".json").read_text())
    widefield, truth = (open_stack(folder / kind / name).volume() for kind in (WIDEFIELD, CONFOCAL))
    index = float(about["ni"])

    def tell(event: object) -> None:
        if not isinstance(event, Progress):
            print(f"  {event}", flush=True)

    done = adapt(
        folder / WIDEFIELD / name,
        run,
        numerical_aperture=min(chosen.lens * float(about["NA"]), HIGHEST_APERTURE * index),
        immersion_index=index,
        emission_nm=float(about["em_nm"]),
        minutes=chosen.minutes,
        model=chosen.model,
        seed=chosen.seed,
        on_event=tell,
    )
    before, after = (scores(widefield, truth, str(model)) for model in (chosen.model, done.model))
    return {
        "stack": Path(name).stem,
        "kind": about["kind"],
        "scope": about["scope"],
        "lens": chosen.lens,
        "before_share": before[0],
        "before_ssim": before[1],
        "after_share": after[0],
        "after_ssim": after[1],
        "simulated_before": done.before.get("rmse"),
        "simulated_after": done.after.get("rmse"),
        "kept": "yes" if done.kept else "no",
        "pairs": done.pairs,
        "steps": done.iterations,
        "minutes": done.seconds / 60,
    }


def with_means(rows: Sequence[Row]) -> list[Row]:
    """The rows, and a mean for each lens that was told."""
    lines = list(rows)
    for lens in sorted({row["lens"] for row in rows}):
        mine = [row for row in rows if row["lens"] == lens]
        names = ("before_share", "before_ssim", "after_share", "after_ssim", "minutes")
        numbers: dict[str, Any] = {name: float(np.mean([row[name] for row in mine])) for name in names}
        lines.append({"stack": f"mean of {len(mine)}", "lens": lens} | numbers)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=CHOOSING)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--stacks", type=int, default=6, help="so many, evenly spread over the folder")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these stacks instead, by their names without ending")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--lens", type=float, default=1.0, help="the NA that is told, as a share of the true one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs") / "adapt")
    add_table_option(parser)
    chosen = parser.parse_args()
    names = PairsFolder(chosen.folder).names()
    if chosen.only:
        names = [name for name in names if Path(name).stem in chosen.only]
    else:
        names = [names[int(i)] for i in np.unique(np.linspace(0, len(names) - 1, chosen.stacks).astype(int))]
    rows: list[Row] = []
    for name in names:
        run = chosen.output / f"{Path(name).stem}_{chosen.lens:g}"
        kept = run.with_name(f"{run.name}.json")  # not with_suffix: "1.15" has one
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(adapt_row(chosen.folder, name, run, chosen)))
        rows.append(json.loads(kept.read_text()))
        print(json.dumps(rows[-1]), flush=True)
    write_rows(chosen.table, rows, key=("stack", "lens"))
    print("\n" + markdown(with_means(rows), COLUMNS))


if __name__ == "__main__":
    main()
