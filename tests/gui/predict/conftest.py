"""The dock on the model of a viewer: napari's window takes seconds to open, and few of these tests look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def viewer(model: Any) -> Any:
    """A viewer without its window."""
    return model


@pytest.fixture
def open_dock(viewer: Any, qtbot: Any) -> Iterator[Callable[..., Any]]:
    """Opens the dock with given panels, and shuts it down as napari does when it closes."""
    from napari_deep3d.gui.widget import Deep3DWidget

    opened: list[Deep3DWidget] = []

    def opens(**panels: Any) -> Deep3DWidget:
        opened.append(Deep3DWidget(viewer, **panels))
        qtbot.addWidget(opened[-1])
        return opened[-1]

    yield opens
    for dock in opened:
        dock.shut_down()


@pytest.fixture
def dock(open_dock: Callable[..., Any], panels: dict[str, Any]) -> Any:
    """The dock with the fakes."""
    return open_dock(**panels)
