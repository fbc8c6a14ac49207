"""What the panels share: layers and stacks, the worker, small widgets; handed out here."""

from napari_deep3d.gui.shared.config_form import ConfigForm, FormRow
from napari_deep3d.gui.shared.curves import legend_entry
from napari_deep3d.gui.shared.geometry import LayerPair, PlacedStack, place_part
from napari_deep3d.gui.shared.layers import (
    METADATA_KEY,
    TEMPORARY,
    LayerAxes,
    contrast_limits,
    find_axes,
    full_data,
    image_layers,
    list_events,
    pick,
    place,
)
from napari_deep3d.gui.shared.pair_selector import PairSelector, guess_pair
from napari_deep3d.gui.shared.run_button import RunButton
from napari_deep3d.gui.shared.stack_selection import StackSelection
from napari_deep3d.gui.shared.stack_selector import EmptyState, StackPart
from napari_deep3d.gui.shared.training_pairs import (
    THUMBNAIL,
    Member,
    make_member,
    pair_name,
    read_folder,
    source_of,
    unlike,
)
from napari_deep3d.gui.shared.view_state import SECTIONS, Before, Orientation, cut
from napari_deep3d.gui.shared.widgets import (
    AMBER,
    RED,
    Choice,
    LayerChecklist,
    Line,
    Plot,
    format_memory,
    format_rate,
    format_seconds,
    format_size,
    let_wheel_scroll_panel,
    make_form,
    stack_up,
)
from napari_deep3d.gui.shared.worker import Cancelled, Failed, LatestResult, Run, close_all, close_with, job_of

__all__ = [
    "AMBER",
    "METADATA_KEY",
    "RED",
    "SECTIONS",
    "TEMPORARY",
    "THUMBNAIL",
    "Before",
    "Cancelled",
    "Choice",
    "ConfigForm",
    "EmptyState",
    "Failed",
    "FormRow",
    "LatestResult",
    "LayerAxes",
    "LayerChecklist",
    "LayerPair",
    "Line",
    "Member",
    "Orientation",
    "PairSelector",
    "PlacedStack",
    "Plot",
    "Run",
    "RunButton",
    "StackPart",
    "StackSelection",
    "close_all",
    "close_with",
    "contrast_limits",
    "cut",
    "find_axes",
    "format_memory",
    "format_rate",
    "format_seconds",
    "format_size",
    "full_data",
    "guess_pair",
    "image_layers",
    "job_of",
    "legend_entry",
    "let_wheel_scroll_panel",
    "list_events",
    "make_form",
    "make_member",
    "pair_name",
    "pick",
    "place",
    "place_part",
    "read_folder",
    "source_of",
    "stack_up",
    "unlike",
]
