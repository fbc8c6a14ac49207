"""An opened file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from napari_deep3d.core import InputError, Spacing, Volume
from napari_deep3d.io.axes import StackView


@dataclass(frozen=True)
class StackFile:
    """An opened file, its voxels still on disk.

    Attributes
    ----------
    path : Path
        The file, or the OME-Zarr folder.
    name : str
        Its name without the ending.
    data : StackView
        The voxels, always with the five axes T, C, Z, Y, X; indexing reads just the box asked for.
    spacing_um : (float, float, float) or None
        Voxel size in um along Z, Y, X; None if the file does not state all of it.
    origin_um : (float, float, float)
        Position of the first voxel in um along Z, Y, X; 0 where the file states none.
    channel_names : tuple of str
        A name for each channel, empty where the file has none.
    """

    path: Path
    name: str
    data: StackView = field(repr=False)
    spacing_um: Spacing | None
    origin_um: Spacing
    channel_names: tuple[str, ...]

    def __post_init__(self) -> None:
        names = self.channel_names[: self.n_channels]
        object.__setattr__(self, "channel_names", names + ("",) * (self.n_channels - len(names)))

    @property
    def n_times(self) -> int:
        """Number of time points."""
        return self.data.shape[0]

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.data.shape[1]

    def volume(self, channel: int | None = None, time: int | None = None) -> Volume:
        """One channel and time point as a stack, axes Z, Y, X, its voxels still on disk.

        Parameters
        ----------
        channel, time : int, optional
            Counted from 0; may be left out where there is only one.

        Raises
        ------
        InputError
            If there are several and none was chosen, or there is no such channel or time point.
        """
        missing = [
            option
            for option, choice, count in (("channel", channel, self.n_channels), ("time", time, self.n_times))
            if choice is None and count > 1
        ]
        if missing:
            raise InputError(
                f"{self.name} holds {self._contents()}: choose one "
                f"with {' and '.join(f'--{option} ({option}=...)' for option in missing)}, counted from 0."
            )
        at = {
            "C": self._checked("channel", channel or 0, self.n_channels),
            "T": self._checked("time", time or 0, self.n_times),
        }
        return Volume(self.data.at(**at), self.spacing_um, self.origin_um, self.name)

    def _checked(self, option: str, choice: int, count: int) -> int:
        if not 0 <= choice < count:
            allowed = "0 is" if count == 1 else f"0 to {count - 1} are"
            raise InputError(
                f"{option} {choice} was chosen, but {self.name} holds {self._contents()}: {allowed} allowed."
            )
        return choice

    def _contents(self) -> str:
        names = ", ".join(f"{i}: {name}" if name else f"{i}" for i, name in enumerate(self.channel_names))
        channels = f"{self.n_channels} channels ({names})" if self.n_channels > 1 else "1 channel"
        return f"{channels} and {self.n_times} time point{'s' if self.n_times > 1 else ''}"


def stack_name(path: Path) -> str:
    """Drop the ending of a file's name: ``cell`` for ``cell.ome.tif``."""
    stem = path.stem
    return stem[:-4] if stem.lower().endswith(".ome") else stem
