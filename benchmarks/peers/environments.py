"""Make the environments of the programs that are kept apart from this one, for what they need.

Usage: python -m benchmarks.peers.environments [NAME ...]        # all of them without a name

One that cannot be made is left out, with pip's reason. TensorFlow and torch are taken for the processor; for
CAREamics, `benchmarks.study.care_venv` says how.
"""

from __future__ import annotations

import argparse
import subprocess
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.study import care_venv


@dataclass(frozen=True)
class Environment:
    """An environment's folder, and what is installed into it."""

    folder: Path
    requirements: tuple[str, ...]

    @property
    def python(self) -> Path:
        """Its Python, which is there once the environment is made."""
        return care_venv.python_of(self.folder)


FOLDER = Path("runs/peers-venv")
ENVIRONMENTS: Mapping[str, Environment] = {
    "careamics": Environment(care_venv.FOLDER, (care_venv.REQUIREMENT,)),
    "csbdeep": Environment(FOLDER / "csbdeep", ("csbdeep==0.8.2", "tensorflow-cpu==2.21.0")),
    "redlionfish": Environment(FOLDER / "redlionfish", ("redlionfish==0.10",)),
    "itk-elastix": Environment(FOLDER / "itk-elastix", ("itk-elastix==0.25.4",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ENVIRONMENTS))
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(ENVIRONMENTS):
        parser.error(f"no environment {', '.join(sorted(unknown))}; there are {', '.join(ENVIRONMENTS)}")
    for name in chosen.names or ENVIRONMENTS:
        environment = ENVIRONMENTS[name]
        if environment.python.exists():
            print(f"{name}: {environment.folder} is there; remove it to make it again")
            continue
        venv.create(environment.folder, with_pip=True)
        done = subprocess.run([environment.python, "-m", "pip", "install", "--quiet", *environment.requirements])
        if done.returncode:
            environment.python.unlink()  # so that it does not pass for one that was made
        print(f"{name}: {'could not be installed, and is left out' if done.returncode else environment.folder}")


if __name__ == "__main__":
    main()
