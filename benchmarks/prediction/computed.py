"""How much is computed more than once: what tiles see and compute over what is kept, for growing stacks and a memory.

Usage: python -m benchmarks.prediction.computed [--shapes Z,Y,X ...] [--memory 2 8] [--table docs/data/computed.csv]

Nothing is predicted. *Seen* are the voxels that the network is given, of all tiles, over those of the stack; *work* are
the operations of all tiles over those of the stack in one pass: each level of the network is computed no further than
the tile needs. *Measuring* are those for the norm statistics, which are taken from columns spread over a large stack.
"""

from __future__ import annotations

import argparse
from math import prod

import numpy as np

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d.core import Box, PredictConfig, Shape, Volume, zyx
from napari_deep3d.jobs.predict.plan import plan_prediction
from napari_deep3d.nn import slabs
from napari_deep3d.nn.folded_network import sample_boxes
from napari_deep3d.nn.generator import STRIDE
from napari_deep3d.nn.inference import seen_for
from napari_deep3d.nn.speed import blank_generator

SHAPES = ("48,256,256", "76,512,512", "76,1024,1024", "76,2048,2048")
SPACING_UM = (0.4, 0.2, 0.2)
COLUMNS = {
    "stack": "{stack}",
    "memory, GB": "{memory_gb:g}",
    "tiles": "{tiles}",
    "of, voxels": "{tile}",
    "seen over kept": "{seen:.2f}",
    "work over that of one pass": "{work:.2f}",
    "measuring, of the same": "{measuring:.2f}",
}


def row_of(shape: Shape, memory_gb: float) -> Row:
    """What the plan for a stack computes."""
    # Only the size of the stack counts: one voxel stands for all.
    volume = Volume(np.broadcast_to(np.uint16(0), shape), SPACING_UM)
    plan = plan_prediction(volume, PredictConfig.checked(device="cpu", memory_bytes=int(memory_gb * 1e9)))
    blank = blank_generator(plan.model.width, plan.model.dimensions, plan.model.network_input)
    seen, work = 0, 0.0
    for tile in plan.layout:
        given, wanted = seen_for(tile.write, plan.grid, plan.seen_halo, STRIDE)
        seen += prod(given.shape)
        work += slabs.work(blank, given.shape, wanted.relative_to(given))
    once = slabs.work(blank, plan.grid.model_shape, Box.whole(plan.grid.model_shape))
    boxes = sample_boxes(plan.grid.model_shape)
    measuring = len(boxes) * slabs.work(blank, boxes[0].shape, Box.whole(boxes[0].shape))
    is_known = len(boxes) == 1 and len(plan.layout) == 1  # what is measured whole is predicted already
    return {
        "stack": " x ".join(map(str, shape)),
        "memory_gb": memory_gb,
        "tiles": len(plan.layout),
        "tile": " x ".join(map(str, plan.tile)),
        "seen": seen / prod(plan.grid.model_shape),
        "work": work / once,
        "measuring": 0.0 if is_known else measuring / once,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="Z,Y,X")
    parser.add_argument("--memory", nargs="+", type=float, default=[2.0, 8.0], metavar="GB")
    add_table_option(parser)
    chosen = parser.parse_args()
    shapes = [zyx(int(n) for n in text.split(",")) for text in chosen.shapes]
    rows = [row_of(shape, memory) for shape in shapes for memory in chosen.memory]
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
