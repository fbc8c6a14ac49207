"""What OME-XML says of the microscope: aperture, immersion, wavelengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.io import open_stack
from tests.helpers.ome_files import image, ome, write_pages

SIZES = (1, 2, 6, 32, 40)


def optics(
    folder: Path, objectives: str = "", settings: str = "", channel: str = "", which: int = 0
) -> dict[str, float]:
    """What is known of the first channel of a file of two with such XML."""
    described = image(SIZES).replace("<Pixels", f"{settings}<Pixels").replace("<Channel ", f"<Channel {channel} ")
    text = ome(f'<Instrument ID="Instrument:0">{objectives}</Instrument>', described)
    pages = np.ones((12, 32, 40), np.uint16)
    return open_stack(write_pages(folder / "cell.ome.tif", pages, text)).known_optics(0)


def test_the_objective_that_was_used(tmp_path: Path) -> None:
    found = optics(
        tmp_path,
        '<Objective ID="Objective:0" LensNA="0.8" Immersion="Air"/>'
        '<Objective ID="Objective:1" LensNA="1.2" Immersion="Water"/>',
        '<ObjectiveSettings ID="Objective:1"/>',
        'EmissionWavelength="0.52" EmissionWavelengthUnit="µm"',
    )
    assert found == {"numerical_aperture": 1.2, "immersion_index": 1.333, "emission_nm": 520}


@pytest.mark.parametrize(
    ("settings", "index"),
    [
        ('<ObjectiveSettings ID="Objective:0" RefractiveIndex="1.51" Medium="Water"/>', 1.51),
        ('<ObjectiveSettings ID="Objective:0" RefractiveIndex="0" Medium="Glycerol"/>', 1.46),
        ('<ObjectiveSettings ID="Objective:0"/>', 1.518),
    ],
)
def test_a_stated_index_goes_before_a_medium_before_the_objective(tmp_path: Path, settings: str, index: float) -> None:
    found = optics(tmp_path, '<Objective ID="Objective:0" LensNA="1.3" Immersion="Oil"/>', settings)
    assert found == {"numerical_aperture": 1.3, "immersion_index": index}


@pytest.mark.parametrize(
    ("objectives", "channel"),
    [
        ("", ""),
        ('<Objective ID="Objective:0" LensNA="0" Immersion="Other"/>', 'EmissionWavelength="0"'),
        ('<Objective ID="Objective:0" LensNA="63" Immersion="?"/>', 'EmissionWavelength="green"'),
        ('<Objective ID="a" LensNA="1"/><Objective ID="b" LensNA="1.2"/>', 'EmissionWavelength="52000"'),
    ],
)
def test_what_cannot_be_or_is_not_said_is_not_known(tmp_path: Path, objectives: str, channel: str) -> None:
    assert optics(tmp_path, objectives, channel=channel) == {}


def test_a_channel_must_be_chosen_for_its_wavelength(tmp_path: Path) -> None:
    optics(tmp_path, channel='EmissionWavelength="520"')
    stack = open_stack(tmp_path / "cell.ome.tif")
    assert stack.known_optics() == {}
    assert stack.known_optics(1) == {"emission_nm": 520}
