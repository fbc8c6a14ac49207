"""The ``simulate`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import end, report, run
from napari_deep3d.cli.options import setting
from napari_deep3d.core import SimulateConfig, merge, parse_assignments, read_toml

DEFAULT = SimulateConfig()


def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Pairs folder to write.")],
    pairs: Annotated[int, setting(SimulateConfig, "pairs")] = DEFAULT.pairs,
    shape: Annotated[str, setting(SimulateConfig, "shape")] = ",".join(map(str, DEFAULT.shape)),
    seed: Annotated[int, setting(SimulateConfig, "seed")] = DEFAULT.seed,
    confocal: Annotated[
        list[Path] | None, typer.Option("--from", help="Real confocal stack to take samples from; may be repeated.")
    ] = None,
    position: Annotated[
        int | None, typer.Option(help="Image of stacks given with --from that hold several, counted from 0.")
    ] = None,
    psf: Annotated[list[Path] | None, typer.Option(help="Measured wide-field PSF; may be repeated.")] = None,
    kind: Annotated[str, setting(SimulateConfig, "kind")] = DEFAULT.kind,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of bounds; those of samples in tables, such as samples.neurons.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A bound NAME=VALUE, such as samples.neurons.soma_um=[3,8]; may be repeated."),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Make simulated wide-field/confocal pairs to train on."""
    chosen = SimulateConfig.checked(pairs=pairs, shape=options.parse_shape(shape, "--shape"), seed=seed, kind=kind)
    given = read_toml(config) if config else {}, parse_assignments(settings or [])
    from napari_deep3d.core.simulation.scene import SceneBounds
    from napari_deep3d.jobs.simulate import simulate_pairs

    bounds = merge(SceneBounds, *given)
    stacks, psfs = confocal or (), psf or ()
    made = run(
        lambda stop: simulate_pairs(
            output,
            chosen,
            confocal_stacks=stacks,
            position=position,
            psfs=psfs,
            bounds=bounds,
            overwrite=overwrite,
            stop=stop,
        )
    )
    spacings = [list(spacing) for spacing in made.spacing_um]
    place = {"output": str(made.output), "pairs": made.pairs, "shape": list(made.shape), "spacing_um": spacings}
    report(place | {"seed": made.seed}, as_json)
    end(made.pairs == chosen.pairs)
