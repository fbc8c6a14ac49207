"""Depth as teacher: what a model gains below by learning from the clear top of the same stack.

Usage: napari-deep3d simulate -o data/deep-test --pairs 6 --shape 72,128,128 --seed 8701
           --config configs/simulate/deep.toml
       python -m benchmarks.generalisation.depth_teacher data/deep-test [--minutes 10] [--stacks 6]
           [-o runs/depth] [--table docs/data/depth_teacher.csv]

After DeAbe (Guo et al., Nat. Commun. 16, 2025), which blurs the clear top of a stack as depth would, learns to undo it,
and applies that below. Here what the model makes of the upper half is taken as a sample; the simulator images it anew,
with scattering, haze and defocus, those cameras and depths kept whose images look most like the lower half; the model
learns on from these pairs (as ``adapt`` does, which takes the whole stack for both). RMSE as a share of wide-field's,
and SSIM, of the lower half, both after the best scale and offset, before and after. Stacks that are done are passed
over.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common.scene_files import microscopes_of, read_scene
from benchmarks.common.scores import scaled
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict
from napari_deep3d.core import DEFAULT_MODEL, AdaptConfig, FloatArray, Spacing, TimeLimit, Volume, drain, never
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.adapt.pairs import simulate_own_pairs
from napari_deep3d.jobs.adapt.training import LEARNING, Adaptation
from napari_deep3d.jobs.models.store import model_info
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder, prepare_pairs
from napari_deep3d.jobs.train.plan import settings_from_start
from napari_deep3d.jobs.train.run_folder import MODEL_FILE

SIMULATING_SHARE = 0.3
"""Of the time."""
COLUMNS = {
    "stack": "{stack}",
    "kind": "{kind}",
    "lower half before": "{before_share:.1%}, {before_ssim:.3f}",
    "after": "{after_share:.1%}, {after_ssim:.3f}",
    "pairs": "{pairs}",
    "steps": "{steps}",
    "minutes": "{minutes:.0f}",
}


def lower_scores(image: FloatArray, widefield: FloatArray, confocal: FloatArray) -> tuple[float, float]:
    """RMSE as a share of wide-field's, and SSIM, of the lower half of a prediction (Z, Y, X)."""
    half = slice(len(image) // 2, None)
    truth = scaled(confocal)[half]
    found, baseline = score(image[half], truth), score(scaled(widefield)[half], truth)
    return found.rmse_fit / baseline.rmse_fit, found.ssim_fit


def learn_from_top(widefield: Volume, config: AdaptConfig, run: Path) -> tuple[int, int]:
    """Let a model learn on from the upper half of a stack, into a folder; return the numbers of pairs and steps."""
    spacing_um, half = widefield.require_spacing_um(), widefield.shape[0] // 2
    top, bottom = (
        replace(widefield, data=np.asarray(widefield.data[part, :, :])) for part in (slice(half), slice(half, None))
    )
    clear = replace(top, data=np.asarray(predict(np.asarray(top.data), spacing_um=spacing_um, model=config.model).data))
    info, limit = model_info(config.model), TimeLimit(60 * config.minutes)
    simulating = TimeLimit(60 * config.minutes * SIMULATING_SHARE)
    own = drain(simulate_own_pairs(bottom, [clear], config, info.novelty, simulating, never))
    pairs = list(prepare_pairs(own.pairs, info.percentiles))
    learning = settings_from_start(LEARNING, info).changed(seed=config.seed, held_out=own.held_out)
    training = Adaptation(pairs, learning, config, limit, never)
    trained = drain(training.run())
    run.mkdir(parents=True, exist_ok=True)
    training.save(trained, run, "from-depth", complete=True)
    return len(pairs), trained.step


def measured(folder: Path, name: str, run: Path, minutes: float, seed: int) -> Row:
    """Learn from one stack, and score what is below before and after."""
    widefield, confocal = (open_stack(folder / kind / name).volume() for kind in (WIDEFIELD, CONFOCAL))
    scene = read_scene(folder / WIDEFIELD / name)
    scope = microscopes_of(scene)[0]
    config = AdaptConfig.checked(
        numerical_aperture=scope.numerical_aperture,
        immersion_index=scope.immersion_index,
        emission_nm=1000 * scope.emission_um,
        minutes=minutes,
        seed=seed,
    )
    pairs, steps = learn_from_top(widefield, config, run)
    recorded, truth = np.asarray(widefield.data[:, :, :]), np.asarray(confocal.data[:, :, :])

    def scores(model: str, spacing_um: Spacing) -> tuple[float, float]:
        made = predict(recorded, spacing_um=spacing_um, model=model).data
        return lower_scores(np.asarray(made), recorded.astype(np.float32), truth.astype(np.float32))

    row: Row = {"stack": Path(name).name.split(".")[0], "kind": scene.kind}
    for when, model in (("before", DEFAULT_MODEL), ("after", str(run / MODEL_FILE))):
        row[f"{when}_share"], row[f"{when}_ssim"] = scores(model, widefield.require_spacing_um())
    return row | {"pairs": pairs, "steps": steps, "minutes": minutes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stacks", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs") / "depth")
    add_table_option(parser)
    chosen = parser.parse_args()
    rows = list[Row]()
    for name in PairsFolder(chosen.folder).names()[: chosen.stacks]:
        run = chosen.output / Path(name).name.split(".")[0]
        kept = run / "scores.json"
        if not kept.exists():
            row = measured(chosen.folder, name, run, chosen.minutes, chosen.seed)
            kept.write_text(json.dumps(row))
        rows.append(json.loads(kept.read_text()))
        print(rows[-1], flush=True)
    names = ("before_share", "before_ssim", "after_share", "after_ssim", "minutes")
    mean: Row = {"stack": f"mean of {len(rows)}"} | {n: float(np.mean([row[n] for row in rows])) for n in names}
    write_rows(chosen.table, [*rows, mean])
    print("\n" + markdown([*rows, mean], COLUMNS))


if __name__ == "__main__":
    main()
