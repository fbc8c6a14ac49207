"""What each table of the documentation shows: which columns of which file of docs/data, in which words."""

from __future__ import annotations

from benchmarks.common.tables import Row, side_by_side
from benchmarks.generalisation.depth import COLUMNS as DEPTH
from benchmarks.generalisation.depth_teacher import COLUMNS as DEPTH_TEACHER
from benchmarks.generalisation.held_out_kinds import COLUMNS as HELD_OUT_KINDS
from benchmarks.generalisation.registration import COLUMNS as FOREIGN_REGISTRATION
from benchmarks.prediction.computed import COLUMNS as COMPUTED
from benchmarks.prediction.engines import COLUMNS as ENGINES
from benchmarks.prediction.parts import COLUMNS as PARTS
from tools.results.peers import PEERS
from tools.results.study import MEASURED, SCORES, over_seeds
from tools.results.table import DATA, Change, Table

__all__ = ["DATA", "TABLES"]


def by(column: str, over: str) -> Change:
    """One row for each value of a column, the values of another beside each other."""
    return lambda rows: side_by_side(rows, column, over)


def where(column: str, value: str) -> Change:
    """The rows with a value in a column, without that column."""
    return lambda rows: [{k: v for k, v in row.items() if k != column} for row in rows if row[column] == value]


def tested(rows: list[Row]) -> list[Row]:
    """Of the metrics of a training, the tests on held-out pairs."""
    return [row for row in rows if row["validation_rmse"]]


def over_thousands(rows: list[Row]) -> list[Row]:
    """The losses of a training as means of a thousand steps each, told every hundred; the last are fewer."""
    names = ("loss", "l1", "l2", "correlation")
    parts = [rows[begin : begin + 10] for begin in range(0, len(rows), 10)]
    return [part[-1] | {name: sum(float(row[name]) for row in part) / len(part) for name in names} for part in parts]


def scores(name: str) -> str:
    """Share, RMSE and SSIM as one cell."""
    return f"{{{name} share}}, {{{name} rmse}}, {{{name} ssim}}"


SIMULATED = {
    "stacks of": "{group}",
    "number": "{wide-field stacks}",
    "wide-field RMSE, SSIM": "{wide-field rmse_fit:.3f}, {wide-field ssim_fit:.3f}",
    "Richardson-Lucy": "{Richardson-Lucy share:.0%}, {Richardson-Lucy ssim_fit:.3f}",
    "**prediction**": "{prediction share:.0%}, {prediction ssim_fit:.3f}",
}
GROUPS = {
    "all": "all",
    "kind: neurons": "neurons",
    "kind: nuclei": "nuclei",
    "kind: tissue": "tissue",
    "kind: membranes": "membranes",
    "kind: glia": "glia",
    "kind: filaments": "filaments",
    "haze: clear": "clear",
    "haze: weak, >= 150 um": "scattering, 150 um and more",
    "haze: medium, 50-150 um": "50 to 150 um",
    "haze: strong, < 50 um": "below 50 um",
    "thickness: < 10 um": "thinner than 10 um",
    "thickness: 10-20 um": "10 to 20 um",
    "thickness: 20-40 um": "20 to 40 um",
}
LUCY = "{{Richardson-Lucy, {0} share:.0%}}, {{Richardson-Lucy, {0} ssim:.3f}}"
STACKS = {"stacks of": "{group}", "number": "{wide-field stacks}", "wide-field SSIM": "{wide-field ssim:.3f}"}
MODELS = {
    "third model": "{third model share:.0%}, {third model ssim:.3f}",
    "seventh model": "{seventh model share:.0%}, {seventh model ssim:.3f}",
    "**prediction**": "{prediction share:.0%}, {prediction ssim:.3f}",
    "its worst": "{prediction worst:.0%}",
}
DECONVOLVED = {
    "Richardson-Lucy, 20": LUCY.format("accelerated, 20"),
    "40": LUCY.format("accelerated, 40"),
    "classical, 20": LUCY.format("classical, 20"),
    "classical, 40": LUCY.format("classical, 40"),
}
MIXED = "{{{0} share:.1%}}, {{{0} ssim:.3f}}"
MIXING = {
    "stack": "{stack}",
    "fast": MIXED.format("fast"),
    "best": MIXED.format("best"),
    "Richardson-Lucy": MIXED.format("Richardson-Lucy"),
    "best, 10 % of it": MIXED.format("10% of it"),
    "20 %": MIXED.format("20% of it"),
    "30 %": MIXED.format("30% of it"),
}
RANGE = {"5 %": "{5 %:.3g}", "50 %": "{50 %:.3g}", "95 %": "{95 %:.3g}"}
TILE_NORMS = {
    "norm statistics": "{norm_statistics}",
    "RMSE": "{rmse:.3f}",
    "SSIM": "{ssim:.3f}",
    "tile mismatch": "{tile_mismatch:.3f}",
    "change": "{change:.3f}",
}
REGISTRATION = {
    "axial": "{axial_share:.0%}",
    "lateral": "{lateral_share:.0%}",
    "median axial": "{axial_median:.3g}",
    "median lateral": "{lateral_median:.3g}",
    "worst axial, lateral": "{axial_worst:.3g}, {lateral_worst:.3g}",
}
ENDLESS = {
    "steps": "{step:.0f}",
    "seconds": "{seconds:.0f}",
    "pairs so far": "{pairs:.0f}",
    "loss": "{loss:.4f}",
    "of it L1": "{l1:.4f}",
    "squared": "{l2:.4f}",
    "correlation": "{correlation:.4f}",
}
HELD_OUT = {"step": "{step}", "RMSE": "{validation_rmse:.4f}", "SSIM": "{validation_ssim:.3f}"}
BORDER = "{{{0} untouched:.3f}}; {{{0} before:.3f}}, **{{{0} after:.3f}}**"
SPREAD = "{{{0}:.3f}} ± {{{0}_spread:.3f}}"
BESIDE = MEASURED | PEERS
"""Tables whose columns are said in files of their own."""

TABLES = {
    "nucleus": Table(
        "nucleus.csv",
        {
            "image": "{image}",
            "RMSE": "{tags rmse:.4f}",
            "SSIM": "{tags ssim:.3f}",
            "axial width, planes": "{tags axial_width_planes:.1f}",
            "half the pixel: RMSE, SSIM, width": "{notes rmse:.4f}, {notes ssim:.3f}, {notes axial_width_planes:.1f}",
        },
        by("image", "pixel"),
        bold=["prediction"],
    ),
    "simulated": Table("simulated.csv", SIMULATED, by("group", "method"), GROUPS, ["all"]),
    "simulated-real": Table("simulated_real.csv", SIMULATED, by("group", "method"), GROUPS, ["all"]),
    "foreign-choose": Table("foreign_choose.csv", STACKS | DECONVOLVED | MODELS, by("group", "method"), bold=["all"]),
    "foreign-test": Table("foreign_test.csv", STACKS | MODELS, by("group", "method"), bold=["all"]),
    "foreign-blind": Table("foreign_blind.csv", STACKS | MODELS, by("group", "method"), bold=["all"]),
    "depth": Table("depth.csv", DEPTH),
    "held-out-kinds": Table("held_out_kinds.csv", HELD_OUT_KINDS),
    "depth-teacher": Table("depth_teacher.csv", DEPTH_TEACHER),
    "adapt": Table(
        "adapt.csv",
        {
            "stack": "{stack}",
            "kind": "{kind}",
            "lens": "{scope}",
            "before": "{before_share:.1%}, {before_ssim:.3f}",
            "after": "{after_share:.1%}, {after_ssim:.3f}",
            "its own test: before": "{simulated_before:.4f}",
            "after it": "{simulated_after:.4f}",
            "kept": "{kept}",
            "minutes": "{minutes:.0f}",
        },
    ),
    "widening": Table(
        "widening.csv",
        {
            "pairs and settings": "{name}",
            "steps": "{steps}",
            "nine foreign": "{foreign-choose share:.1%}, {foreign-choose ssim:.3f}",
            "16 foreign": "{foreign-test share:.1%}, {foreign-test ssim:.3f}",
            "24 in usual light": "{calibration share:.1%}, {calibration ssim:.3f}",
        },
    ),
    "light": Table(
        "light.csv",
        {
            "trained on with": "{pairs}",
            "number": "{number}",
            "patches": "{patches}",
            "nine foreign": "{choose:.1%}",
            "16 foreign": "{test:.1%}",
            "with the best gain by depth": "{test_gain:.1%}",
            "16 of our own": "{own:.1%}",
        },
    ),
    "registration-foreign": Table("foreign_registration.csv", FOREIGN_REGISTRATION),
    "mixing": Table("mixing.csv", MIXING, by("stack", "method"), bold=["mean"]),
    "resolution": Table(
        "resolution.csv",
        {
            "stack": "{stack}",
            "wide-field x-y, z": "{wide-field lateral_um:.2f}, {wide-field axial_um:.2f}",
            "prediction x-y, z": "{prediction lateral_um:.2f}, {prediction axial_um:.2f}",
            "two pixels, two planes": "{wide-field nyquist_um}",
        },
        by("stack", "image"),
        {
            "nucleus": "nucleus",
            "bead": "bead of 2.5 um (EPFL)",
            "point": "point (a measured PSF, which training had used)",
        },
    ),
    "invented": Table(
        "invented.csv",
        {
            "image": "{image}",
            "deviation": "{deviation:.0%}",
            "height": "{height:.0%}",
            "height in wide-field": "{widefield_height:.0%}",
            "correlation of two predictions": "{correlation:.2f}",
        },
    ),
    "looks-real-confocal": Table(
        "looks_real_confocal.csv",
        {"confocal": "{statistic}"}
        | RANGE
        | {
            "nuclei (cells3d)": "{nuclei}",
            "pollen": "{pollen}",
            "Purkinje neuron": "{purkinje_neuron}",
            "fly neuron": "{fly_neuron}",
            "cortex": "{cortex_neurons}",
            "nucleus": "{nucleus}",
        },
    ),
    "looks-real-widefield": Table(
        "looks_real_widefield.csv",
        {"wide-field": "{statistic}"} | RANGE | {"bead": "{bead}", "point": "{point}", "nucleus": "{nucleus}"},
    ),
    "uncertainty": Table(
        "uncertainty.csv",
        {
            "voxels": "{voxels}",
            "expected": "{expected}",
            "measured": "{measured}",
            "errors within the expected": "{within:.0%}",
        },
        bold=["all"],
    ),
    "grid-frames": Table(
        "grid_frames.csv",
        {
            "frames": "{condition}",
            "wide-field": "{widefield_rmse:.3f}, {widefield_ssim:.2f}",
            "sectioned": "{section_rmse:.3f}, {section_ssim:.2f}",
            "signal over noise": "{signal:.0f}",
            "stripes found": "{stripes:.1%}",
        },
    ),
    "turns": Table(
        "turns.csv",
        {
            "turns": "{turns}",
            "RMSE": "{rmse:.4f}",
            "SSIM": "{ssim:.3f}",
            "rank correlation of spread and error": "{rank_correlation:.3f}",
        },
        words={"1": "1", "2": "2", "4": "4 (used)"},
        bold=["4 (used)"],
    ),
    "tiles": Table(
        "tiles.csv",
        {
            "tile": "{tile}",
            "RMS difference from *auto*": "{rms_difference:.3f}",
            "tile mismatch": "{tile_mismatch:.3f}",
        },
        words={"auto": "auto (the whole stack)"},
    ),
    "borders": Table(
        "borders.csv",
        {
            "border": "{border}",
            "no image": "{thick share:.0%}",
            "thick": BORDER.format("thick"),
            "nucleus": BORDER.format("nucleus"),
            "simulated": BORDER.format("simulated"),
            "difference at the edge": "{thick edge_before:.2f}, **{thick edge_after:.2f}**; "
            "{nucleus edge_before:.2f}, **{nucleus edge_after:.2f}**; "
            "{simulated edge_before:.2f}, **{simulated edge_after:.2f}**",
        },
        by("border", "sample"),
    ),
    "tile-norms-bundled": Table(
        "tile_norms_bundled.csv",
        TILE_NORMS,
        bold=["of four columns together, frozen"],
    ),
    "tile-norms-published": Table("tile_norms_published.csv", TILE_NORMS),
    "prediction-speed": Table(
        "prediction_speed.csv",
        {
            "": "{method}",
            "Mvoxel/s": "{mvoxel_per_second:.2f}",
            "of the matrix product's rate": "{share_of_peak:.0%}",
            "which is, GFLOP/s": "{peak_gflops:.0f}",
        },
        lambda rows: [row for row in rows if row["share_of_peak"]],
    ),
    "prediction-speed-cuda": Table(
        "prediction_speed_cuda.csv",
        {
            "": "{method}",
            "Mvoxel/s": "{mvoxel_per_second:.0f}",
            "of MONAI's": "{times_monai:.1f}",
            "of the matrix product's rate": "{share_of_peak:.0%}",
        },
    ),
    "computed": Table("computed.csv", COMPUTED),
    "parts": Table("parts.csv", PARTS),
    "engines": Table("engines.csv", ENGINES, bold=["PyTorch, bfloat16, slab by slab (this program)"]),
    "field": Table(
        "field.csv",
        {
            "stack": "{stack}",
            "tiles": "{tiles}",
            "s": "{seconds:.0f}",
            "s, by the plan": "{planned_seconds:.0f}",
            "Mvoxel/s": "{mvoxel_per_second:.2f}",
            "memory, GB": "{memory_gb:.1f}",
            "Stop, longest, s": "{stop_seconds:.2f}",
            "longest without progress, s": "{silent_seconds:.1f}",
        },
    ),
    "registration": Table(
        "registration.csv",
        {"method": "{method}"} | REGISTRATION,
        where("pairs", "thick"),
        {
            "psf (default)": "ours (default)",
            "cross-correlation, filtered": "ours, `cross-correlation` (filtered)",
            "cross-correlation, plain": "ours, `plain-cross-correlation`",
            "psf, preset paper": "the paper's equation as printed (`--preset paper`)",
        },
        ["ours (default)"],
    ),
    "registration-conditions": Table(
        "registration.csv", {"pairs": "{pairs}"} | REGISTRATION, where("method", "psf (default)")
    ),
    "registration-confidence": Table(
        "registration_confidence.csv",
        {"confidence": "{confidence}", "pairs": "{pairs}", "right": "{right}"},
    ),
    "registration-borders": Table(
        "registration_borders.csv",
        {
            "border": "{border}",
            "taken as image: right": "{before right}",
            "error, um": "{before error_um}",
            "confidence": "{before confidence}",
            "left out: right": "{after right}",
            "its error, um": "{after error_um}",
            "its confidence": "{after confidence}",
        },
        bold=["none"],
    ),
    "novelty": Table(
        "novelty.csv",
        {"input": "{kind}", "stacks": "{stacks}", "warned": "{warned:.0%}"},
        bold=["as the model's own"],
    ),
    "novelty-held-out": Table(
        "novelty_held_out.csv",
        {
            "held out": "{group}",
            "stacks": "{stacks}",
            "unlike, where it is unknown": "{unknown:.0%}",
            "where it is known": "{known:.0%}",
            "other stacks": "{others:.0%}",
        },
    ),
    "study": Table(
        "study.csv",
        {
            "setting": "{name}",
            "steps": "{steps}",
            "simulated: share, RMSE, SSIM": scores("validation"),
            "of real stacks: share, RMSE, SSIM": scores("choosing-real"),
        },
        words={
            "second-model": "(the second model, as it was)",
            "second-model-interpolating": "(the same, enlarging by interpolation)",
            "start-l1": "L1, patches of 12 to 64 planes of 80 to 112 pixels",
            "start-vgg": "L1 and VGG",
            "start-gan": "L1, GAN and VGG, the paper's weights",
            "start-large": "patches of 24 and 64 planes of 128 pixels",
            "start-native": "pairs resampled to voxels of 0.5 x 0.2 x 0.2 um",
            "scratch-l1": "from random weights: L1, mixed patches, width 16",
            "scratch-wide": "from random weights: width 22",
            "scratch-percentiles": "from random weights: percentiles 1 and 99.5 instead of 0.1 and 99.9",
        },
        bold=["L1, patches of 12 to 64 planes of 80 to 112 pixels"],
    ),
    "study-voxels": Table(
        "study_voxels.csv",
        {
            "trained on": "{model}",
            "simulated: stacks": "{validation stacks}",
            "share, RMSE, SSIM": scores("validation"),
            "of real stacks: stacks": "{choosing-real stacks}",
            "the same of these": scores("choosing-real"),
        },
        by("model", "pairs"),
        {
            "start-l1": "pairs as they are (L1 above)",
            "start-native": "pairs resampled to voxels of 0.5 x 0.2 x 0.2 um",
        },
    ),
    "first-leg": Table("generalist-leg1/metrics.csv", HELD_OUT, tested),
    "second-leg": Table("generalist-leg2/metrics.csv", HELD_OUT, tested, bold=["7500"]),
    "third-leg": Table("generalist-wide/metrics.csv", HELD_OUT, tested, bold=["3600"]),
    "fourth-leg": Table("generalist-fourth/metrics.csv", HELD_OUT, tested),
    "fifth-leg": Table("generalist-fifth/metrics.csv", HELD_OUT, tested),
    "sixth-leg": Table("generalist-sixth/metrics.csv", HELD_OUT, tested),
    "seventh-leg": Table("generalist-seventh/metrics.csv", ENDLESS, over_thousands),
    "legs": Table(
        "generalist_choosing.csv",
        {
            "weights": "{weights}",
            "simulated: share, RMSE, SSIM": scores("validation"),
            "of real stacks: share, RMSE, SSIM": scores("choosing-real"),
        },
        bold=["second leg, step 7500 (bundled)"],
    ),
    "ablation": Table(
        "ablation.csv",
        {
            "trained with": "{variant}",
            "RMSE": SPREAD.format("rmse"),
            "SSIM": SPREAD.format("ssim"),
            "RMSE, scaled": SPREAD.format("rmse_fit"),
            "SSIM, scaled": SPREAD.format("ssim_fit"),
            "high frequencies": "{high_frequencies:.2f} ± {high_frequencies_spread:.2f}",
        },
        words={
            "wide-field": "(wide-field itself)",
            "L1": "L1",
            "L1+GAN": "L1, GAN",
            "L1+GAN+VGG": "L1, GAN, VGG (the default)",
            "2D": "the same in 2D",
            "DeepZ+": "DeepZ+ (2D, one plane in)",
        },
    ),
    "unpaired": Table(
        "unpaired.csv",
        {"": "{image}", "steps": "{steps}"} | SCORES,
        over_seeds("image", "steps"),
        {"wide-field": "wide-field", "bundled model": "bundled model as it is"},
    ),
    "finetune": Table(
        "finetune.csv",
        {
            "": "{image}",
            "steps": "{steps}",
            "RMSE": "{rmse:.3f}",
            "SSIM": "{ssim:.3f}",
            "RMSE, scaled": "{rmse_fit:.3f}",
            "SSIM, scaled": "{ssim_fit:.3f}",
        },
        words={
            "wide-field": "wide-field",
            "bundled model": "bundled model as it is",
            "scratch": "from scratch",
            "fine-tuned": "fine-tuned",
        },
        bold=["fine-tuned"],
    ),
    "training-speed": Table(
        "training_speed.csv",
        {
            "losses": "{losses}",
            "loop": "{loop}",
            "s a step": "{seconds_per_step:.2f}",
            "times the plain loop": "{times_plain:.1f}",
            "share of the peak": "{share_of_peak:.0%}",
            "memory, GB": "{memory_gb:.1f}",
        },
    ),
} | BESIDE
"""The tables by the name that a page gives their place."""
