"""What is told about the machine."""

from __future__ import annotations

import json

from napari_deep3d.jobs.info import describe_machine


def test_description_of_the_machine_is_plain_and_names_versions() -> None:
    told = json.loads(json.dumps(describe_machine(), allow_nan=False))
    assert {"python", "system", "packages", "device", "threads", "memory_gb"} <= set(told)
    assert {"napari-deep3d", "torch", "numpy"} <= set(told["packages"])
    assert told["memory_gb"] >= told["memory_free_gb"] > 0
