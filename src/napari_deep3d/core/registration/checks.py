"""What two stacks must be before it makes sense to look for their alignment."""

from __future__ import annotations

from napari_deep3d.core import MAX_SATURATED, InputError, Volume, all_finite, intensity_range, is_flat, saturated_share

SOME_SATURATED = 0.005
"""Share of saturated voxels from which on the user is told."""


def check_pair(confocal: Volume, widefield: Volume) -> list[str]:
    """Refuse stacks that cannot be registered; return what the user should know about the others.

    Raises
    ------
    InputError
        For a missing voxel size, voxels that are no numbers, a constant stack, or one that is mostly saturated.
    """
    notices = []
    for kind, volume in (("confocal", confocal), ("wide-field", widefield)):
        if volume.spacing_um is None:
            raise InputError(
                f"the {kind} stack {volume.name} has no voxel size in micrometres; without it the two stacks cannot be "
                "brought to one scale. Give it as Z,Y,X in um, or save the file with its voxel size."
            )
        if not all_finite(volume.data):
            raise InputError(
                f"the {kind} stack {volume.name} holds voxels that are no numbers (NaN or infinite). Remove those "
                "planes, or export the stack again."
            )
        bounds = intensity_range(volume.data, (0, 100))
        if is_flat(bounds):
            raise InputError(
                f"the {kind} stack {volume.name} is constant (every voxel is {bounds[0]:g}): nothing to align. "
                "Choose another channel or file."
            )
        share = saturated_share(volume.data, bounds[1])
        if share > MAX_SATURATED:
            raise InputError(
                f"{share:.0%} of the {kind} stack {volume.name} is saturated (at its largest value, {bounds[1]:g}); at "
                f"most {MAX_SATURATED:.0%} is allowed. Acquire it again with less light or exposure."
            )
        if share > SOME_SATURATED:
            notices.append(f"{share:.1%} of the {kind} stack is saturated; structure is lost there.")
    return notices
