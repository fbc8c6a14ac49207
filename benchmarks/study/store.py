"""What the study has finished, each in a folder of its own that is named after all that it depends on.

Settings, sizes and seeds count, and so does what comes before, by the name of its folder; the program's own code does
not. After a change of simulator or network give another root.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_deep3d.core import writing

FINISHED = "finished.json"


@dataclass(frozen=True)
class Place:
    """A folder for one thing that is made once; ``depends_on`` are values that JSON can hold."""

    path: Path
    depends_on: Mapping[str, Any]

    @property
    def is_finished(self) -> bool:
        """Whether all of it is there."""
        return (self.path / FINISHED).is_file()

    def finish(self, **facts: Any) -> Path:
        """Note that all of it is there, and facts about it."""
        self.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"depends_on": dict(self.depends_on), **facts}, indent=1)
        with writing(self.path / FINISHED, "Make room, then give the command again.") as part:
            part.write_text(text, encoding="utf-8")
        return self.path

    def facts(self) -> dict[str, Any]:
        """What was noted at its end."""
        found: dict[str, Any] = json.loads((self.path / FINISHED).read_text(encoding="utf-8"))
        return found


@dataclass(frozen=True)
class Store:
    """A folder of finished things."""

    root: Path

    def place(self, kind: str, name: str, **depends_on: Any) -> Place:
        """Where something lies: ``KIND/NAME-DIGEST``, the digest that of what it depends on."""
        text = json.dumps(depends_on, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        return Place(self.root / kind / f"{plain}-{digest}", depends_on)
