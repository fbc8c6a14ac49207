"""Small files as microscopes write them: CZI by Zeiss's own library, the others from their public descriptions."""

from __future__ import annotations

import struct
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

SPACING_UM = (0.5, 0.2, 0.25)
NAMES, COLORS = ("DAPI", "GFP"), ("#0000ff", "#00ff00")
EMISSIONS_NM = (460.0, 520.0)
APERTURE, INDEX = 1.2, 1.33
TIME_STEP_S = 30.0
POSITIONS = ("left", "right")


def stack(*shape: int) -> NDArray[np.uint16]:
    """Voxels of axes position, T, C, Z, Y, X that all differ, so that no mix-up goes unseen."""
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


# Zeiss CZI

_CZI_MORE = {
    ".//Information": '<Instrument><Objectives><Objective Id="Objective:1"><LensNA>{aperture}</LensNA>'
    "<Immersion>Water</Immersion></Objective></Objectives></Instrument>",
    ".//Information/Image": '<ObjectiveSettings><ObjectiveRef Id="Objective:1"/><RefractiveIndex>{index}'
    "</RefractiveIndex></ObjectiveSettings>",
    ".//Information/Image/Dimensions": "<T><Positions><Interval><Increment>{step}</Increment></Interval></Positions>"
    "</T><Z><Positions><Interval><Start>7</Start></Interval></Positions></Z>",
}


def write_czi(path: Path, data: NDArray[Any], taken: int | None = None) -> Path:
    """Write a CZI file, compressed; of the last scene ``taken`` of its planes. Scene 1 lies right of and below 0."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path), compression_options="zstd1:") as file:
        for scene, voxels in enumerate(data):
            places = list(np.ndindex(voxels.shape[:3]))
            for t, c, z in places[: taken if scene == len(data) - 1 else None]:
                at, corner = {"T": t, "C": c, "Z": z}, ((voxels.shape[-1] + 10) * scene, 4 * scene)
                file.write(np.ascontiguousarray(voxels[t, c, z]), plane=at, scene=scene, location=corner)
        step_z, step_y, step_x = (1e-6 * um for um in SPACING_UM)
        file.write_metadata(channel_names=dict(enumerate(NAMES)), scale_x=step_x, scale_y=step_y, scale_z=step_z)
    with czi.edit_czi(str(path)) as file, file.edit_session() as session:
        root = ElementTree.fromstring(session.get_xml())
        for place, text in _CZI_MORE.items():
            more = f"<more>{text.format(aperture=APERTURE, index=INDEX, step=TIME_STEP_S)}</more>"
            found = root.find(place)
            assert found is not None
            found.extend(ElementTree.fromstring(more))
        for channel, color, nm in zip(
            root.findall(".//Dimensions/Channels/Channel"), COLORS, EMISSIONS_NM, strict=False
        ):
            ElementTree.SubElement(channel, "Color").text = f"#FF{color[1:].upper()}"
            ElementTree.SubElement(channel, "EmissionWavelength").text = str(nm)
        dimensions = root.find(".//Information/Image/Dimensions")
        assert dimensions is not None
        scenes = ElementTree.SubElement(ElementTree.SubElement(dimensions, "S"), "Scenes")
        for i in range(len(data)):
            ElementTree.SubElement(scenes, "Scene", Index=str(i), Name=POSITIONS[i])
        session.set_xml(ElementTree.tostring(root, encoding="unicode"))
    return path


# Leica LIF


def write_lif(path: Path, data: NDArray[Any]) -> Path:
    """Write a LIF file: one image of all positions, axes P, T, C, Z, Y, X, and a photo of one plane."""
    elements = _lif_image("series", data, 0) + _lif_image("snapshot", data[:1, :1, :1, :1], 1)
    header = f'<LMSDataContainerHeader Version="2"><Element Name="{path.name}"><Children>{elements}</Children>'
    text = f"{header}</Element></LMSDataContainerHeader>"
    with path.open("wb") as file:
        file.write(struct.pack("<IIBI", 0x70, 2 * len(text) + 5, 0x2A, len(text)) + text.encode("utf-16-le"))
        for number, voxels in enumerate((data, data[:1, :1, :1, :1])):
            name = f"MemBlock_{number}"
            sizes = struct.pack("<IIBQBI", 0x70, 2 * len(name) + 14, 0x2A, voxels.nbytes, 0x2A, len(name))
            file.write(sizes + name.encode("utf-16-le") + voxels.tobytes())
    return path


def _lif_image(name: str, data: NDArray[Any], number: int) -> str:
    lengths = dict(zip(("10", "4", "", "3", "2", "1"), zip(data.shape, data.strides, strict=True), strict=True))
    steps = {"1": SPACING_UM[2] / 1e6, "2": SPACING_UM[1] / 1e6, "3": SPACING_UM[0] / 1e6, "4": TIME_STEP_S, "10": 1}
    dimensions = "".join(
        f'<DimensionDescription DimID="{axis}" NumberOfElements="{n}" Origin="0" Length="{steps[axis] * (n - 1)!r}" '
        f'Unit="{"s" if axis == "4" else "m"}" BitInc="0" BytesInc="{stride}"/>'
        for axis, (n, stride) in lengths.items()
        if axis
    )
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" Max="1" '
        f'Unit="" LUTName="{color}" IsLUTInverted="0" BytesInc="{i * data.strides[2]}" BitInc="0"/>'
        for i, color in zip(range(data.shape[2]), ("Blue", "Green"), strict=False)
    )
    used = "".join(
        f'<WideFieldChannelInfo UserDefName="{name}" EmissionWavelength="{nm}"/>'
        for _, name, nm in zip(range(data.shape[2]), NAMES, EMISSIONS_NM, strict=False)
    )
    tiles = "".join(
        f'<Tile FieldX="0" FieldY="0" PosX="{1e-6 * (1 + i)}" PosY="{2e-6 * (1 + i)}" PosZ="3e-6"/>'
        for i in range(len(data))
    )
    return (
        f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{channels}</Channels>'
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription>"
        f'<Attachment Name="TileScanInfo">{tiles}</Attachment><Attachment Name="HardwareSetting">'
        f'<ATLCameraSettingDefinition NumericalAperture="{APERTURE}" RefractionIndex="{INDEX}" Immersion="WATER">'
        f"<WideFieldChannelConfigurator>{used}</WideFieldChannelConfigurator></ATLCameraSettingDefinition></Attachment>"
        f'</Image></Data><Memory Size="{data.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'
    )


# Nikon ND2

_MAGIC = 0x0ABECEDA
_FRAME_NAME = 4072
"""Frames have a name so long that their voxels begin on a page of memory."""


def write_nd2(
    path: Path, data: NDArray[Any], taken: int | None = None, calibrated: bool = True, compressed: bool = False
) -> Path:
    """Write an ND2 file of version 2.1, whose metadata are XML; ``taken`` of its frames, each of all channels."""
    positions, times, channels, planes, height, width = data.shape
    frames = data.transpose(1, 0, 3, 4, 5, 2).reshape(-1, height, width, channels)[:taken]
    attributes = {
        "uiWidth": width,
        "uiWidthBytes": 2 * width * channels,
        "uiHeight": height,
        "uiComp": channels,
        "uiBpcInMemory": 16,
        "uiBpcSignificant": 16,
        "uiSequenceCount": len(frames),
        "eCompression": 0 if compressed else 2,
    }
    spectra = [{"pPoint": {"Point0": {"dTValue": 1.0, "dWavelength": nm}}} for nm in EMISSIONS_NM]
    colors = [int(color[5:7] + color[3:5] + color[1:3], 16) for color in COLORS]  # the blue part comes first
    shown = {
        f"a{i}": {
            "uiCompCount": 1,
            "uiSampleIndex": i,
            "sDescription": NAMES[i],
            "uiColor": colors[i],
            "pFluorescentProbe": {"m_EmissionSpectrum": spectra[i]},
        }
        for i in range(channels)
    }
    picture = {
        "bCalibrated": calibrated,
        "dCalibration": SPACING_UM[1],
        "dObjectiveNA": APERTURE,
        "dRefractIndex1": INDEX,
        "sPicturePlanes": {"uiCount": channels, "sPlaneNew": shown},
    }
    points = {
        f"no_name{i}": {"dPosX": 1.0 + i, "dPosY": 2.0 * (1 + i), "dPosZ": 3.0, "dPosName": POSITIONS[i]}
        for i in range(positions)
    }
    along_z = {"uiCount": planes, "dZStep": SPACING_UM[0], "dZLow": 0.0, "dZHigh": SPACING_UM[0] * planes, "iType": 2}
    in_time = {"uiCount": times, "dStart": 0.0, "dPeriod": 1000 * TIME_STEP_S, "dDuration": 0.0, "dAvgPeriodDiff": 0.0}
    experiment = {
        "eType": 1,
        "uLoopPars": in_time,
        "ppNextLevelEx": {
            "no_name": {
                "eType": 2,
                "uLoopPars": {"uiCount": positions, "bUseZ": True, "Points": points},
                "ppNextLevelEx": {"no_name": {"eType": 4, "uLoopPars": along_z}},
            }
        },
    }
    chunks = {
        "ImageAttributes!": _nd2_xml(attributes),
        "ImageMetadata!": _nd2_xml(experiment),
        "ImageMetadataSeq|0!": _nd2_xml(picture),
        "CustomData|AcqTimesCache!": np.arange(len(frames), dtype=np.float64).tobytes(),
    }
    with path.open("wb") as file:
        file.write(struct.pack("<IIQ32s64s", _MAGIC, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver2.1"))
        places = b""
        for name, content in chunks.items():
            places += _nd2_chunk(file, name.encode(), content, 64)
        for number, frame in enumerate(frames):
            content = bytes(8) + (zlib.compress(frame.tobytes()) if compressed else frame.tobytes())
            places += _nd2_chunk(file, f"ImageDataSeq|{number}!".encode(), content, _FRAME_NAME)
        end = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", file.tell())
        _nd2_chunk(file, b"ND2 FILEMAP SIGNATURE NAME 0001!", places + end, 32)
    return path


def _nd2_chunk(file: BinaryIO, name: bytes, content: bytes, name_length: int) -> bytes:
    """Write a chunk, and return what the map at the end of the file says of it."""
    offset = file.tell()
    file.write(struct.pack("<IIQ", _MAGIC, name_length, len(content)) + name.ljust(name_length, b"\0") + content)
    return name + struct.pack("<QQ", offset, len(content))


def _nd2_xml(value: dict[str, Any]) -> bytes:
    kinds = {bool: "bool", int: "lx_uint32", float: "double", str: "CLxStringW"}

    def element(name: str, content: Any) -> str:
        tag = "no_name" if name.startswith("no_name") else name
        if isinstance(content, dict):
            return f'<{tag} runtype="CLxListVariant">{"".join(element(*each) for each in content.items())}</{tag}>'
        text = str(content).lower() if isinstance(content, bool) else str(content)
        return f'<{tag} runtype="{kinds[type(content)]}" value="{text}"/>'

    return f'<variant version="1.0">{element("no_name", value)}</variant>'.encode()


# Imaris


def write_ims(path: Path, data: NDArray[Any], padding: int = 3) -> Path:
    """Write an Imaris file, its voxels padded at the end of each axis, as Imaris does up to whole chunks."""
    import h5py

    (voxels,) = data
    origin = (3.0, 2.0, 1.0)

    def characters(**texts: object) -> dict[str, NDArray[np.bytes_]]:
        return {name: np.array(list(str(text)), dtype="S1") for name, text in texts.items()}

    with h5py.File(path, "w") as file:
        about = file.create_group("DataSetInfo/Image")
        extent = {}
        for number, axis in enumerate("XYZ"):
            low, n = origin[::-1][number], voxels.shape[-1 - number]
            extent |= {f"ExtMin{number}": low, f"ExtMax{number}": low + n * SPACING_UM[2 - number], axis: n}
        about.attrs.update(characters(Unit="um", NumericalAperture=APERTURE, **extent))
        times = file.create_group("DataSetInfo/TimeInfo")
        for t, c in np.ndindex(voxels.shape[:2]):
            moment = datetime(2024, 1, 31, 23, 59, 40) + timedelta(seconds=t * TIME_STEP_S)
            times.attrs.update(characters(**{f"TimePoint{t + 1}": f"{moment}.000"}))
            red, green, blue = (int(COLORS[c][i : i + 2], 16) / 255 for i in (1, 3, 5))
            file.require_group(f"DataSetInfo/Channel {c}").attrs.update(
                characters(
                    Name=NAMES[c],
                    Color=f"{red:.3f} {green:.3f} {blue:.3f}",
                    LSMEmissionWavelength=EMISSIONS_NM[c],
                    RefractionIndexImmersion=INDEX,
                )
            )
            group = file.create_group(f"DataSet/ResolutionLevel 0/TimePoint {t}/Channel {c}")
            group.attrs.update(characters(**{f"ImageSize{axis}": voxels.shape["TCZYX".index(axis)] for axis in "ZYX"}))
            padded = np.pad(voxels[t, c], (0, padding))
            group.create_dataset("Data", data=padded, chunks=(4, 16, 16), compression="gzip")
    return path
