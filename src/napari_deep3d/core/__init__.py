"""Numpy, scipy and scikit-image: the method as plain functions on arrays.

What every room needs is handed out here: stacks, boxes, settings, events, errors, types.
"""

from napari_deep3d.core.config import (
    DEFAULT_MODEL,
    PRESETS,
    AdaptConfig,
    Config,
    Deepest,
    Device,
    EvaluateConfig,
    FrameLayout,
    GridFramesConfig,
    Patch,
    Percentiles,
    Precision,
    PredictConfig,
    Quality,
    RegisterConfig,
    RegisterMethod,
    SectionedConfig,
    SimulateConfig,
    TrainConfig,
    TransformKind,
    merge,
    parse_assignments,
    read_toml,
)
from napari_deep3d.core.doubts import doubt_spacing, doubt_spacings
from napari_deep3d.core.errors import InputError, NoImageError, is_out_of_memory
from napari_deep3d.core.events import (
    BatchRow,
    BoxWritten,
    Clock,
    Event,
    Job,
    Metrics,
    Notice,
    Pause,
    Preview,
    Progress,
    RowState,
    Steps,
    Stop,
    StoppedError,
    TileDone,
    TimeLimit,
    drain,
    finish,
    mapped,
    never,
    tap,
    told,
    wait,
)
from napari_deep3d.core.files import keep_on_disk, part_path, reason, writing
from napari_deep3d.core.intensity import (
    MAX_SATURATED,
    MOSTLY_SATURATED,
    NormalisedStack,
    OffsetStack,
    SampledIntensities,
    has_large_offset,
    intensity_range,
    is_flat,
    measure_intensities,
    normalise,
    saturated_share,
    without_offset,
)
from napari_deep3d.core.no_data import CroppedStack, FilledStack, MaskStack, NoData, find_no_data
from napari_deep3d.core.numbers import parse_number, parse_numbers, split_quantity
from napari_deep3d.core.types import Box, ComplexArray, DoubleArray, FloatArray, Shape, Spacing, Vector, zyx
from napari_deep3d.core.volume import (
    MIN_LATERAL,
    MIN_PLANES,
    LazyStack,
    Stack,
    Volume,
    WritableStack,
    all_finite,
    check_spacing,
    check_stack,
    format_spacing,
    read_box,
    shape_of,
    spans_of,
)
