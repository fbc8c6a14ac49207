"""A prediction, a registration and a training that go on when told to, and where the tests' layers lie."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.ndimage as ndi

from napari_deep3d.core.config import PredictConfig, RegisterConfig, TrainConfig
from napari_deep3d.core.events import (
    Clock,
    Job,
    Metrics,
    Notice,
    Pause,
    Preview,
    Progress,
    Stop,
    StoppedError,
    TileDone,
    never,
    wait,
)
from napari_deep3d.core.registration.result import Registration, ShiftMap
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.types import FloatArray
from napari_deep3d.core.volume import Volume

SPACING_UM = (0.5, 0.2, 0.2)
PLACE = {"scale": SPACING_UM, "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}


class FakePrediction:
    """A prediction in four slabs along y: slab i holds i + 1. It waits for ``gate`` before each."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(1000)
        self.error: Exception | None = None
        self.error_at = 0
        self.threads: list[threading.Thread] = []
        self.volumes: list[Volume] = []
        self.work: Callable[[], object] = lambda: None
        self.plan_error: Exception | None = None
        self.planned: list[PredictConfig] = []
        self.list_models: Callable[[], list[Any]] = lambda: [SimpleNamespace(name="generalist")]

    def hold(self) -> None:
        """Wait before the first slab."""
        self.gate = threading.Semaphore(0)

    def models(self) -> list[Any]:
        """The models that there are."""
        return self.list_models()

    def plan(self, _volume: Volume, config: PredictConfig) -> Any:
        """What is said of the prediction before it starts."""
        self.planned.append(config)
        if self.plan_error is not None:
            raise self.plan_error
        return SimpleNamespace(
            model=SimpleNamespace(title="Trained on simulated nuclei", description="A longer text."),
            device_label="CPU (float32)",
            device_reason="torch finds no GPU.",
            seconds=23.0,
            notices=("The planes are far apart.",),
        )

    def series(self, volumes: Sequence[Volume], config: PredictConfig, into: Any, stop: Stop = never) -> Job[Any]:
        """A prediction of several time points: slab i of time point t holds (t + 1) (i + 1)."""
        for time, volume in enumerate(volumes):
            error = None if into.uncertainty is None else into.uncertainty[time]
            part = SimpleNamespace(prediction=into.prediction[time], uncertainty=error)
            made = yield from self(volume, config, part, stop)
            into.prediction[time] *= time + 1
            if not made.complete:
                break
        return made

    def __call__(self, volume: Volume, config: PredictConfig, into: Any, stop: Stop = never) -> Job[Any]:
        from napari_deep3d.jobs.predict.predict import Prediction

        out, uncertainty = into.prediction, into.uncertainty
        self.threads.append(threading.current_thread())
        self.volumes.append(volume)
        clock, done = Clock(), 0
        for i in range(4):
            while not self.gate.acquire(timeout=0.01) and not stop():
                pass
            if stop():
                break
            if self.error is not None and i == self.error_at:
                raise self.error
            self.work()
            rows = volume.shape[1] // 4
            region = (slice(None), slice(i * rows, (i + 1) * rows), slice(None))
            values = np.full_like(out[region], i + 1)
            out[region] += values
            done += 1
            if uncertainty is not None:
                uncertainty[region] += values / 10
            yield TileDone(region, values, None if uncertainty is None else values / 10)
            yield clock.progress(done, 4, f"tile {done} of 4")
        return Prediction(
            data=out,
            spacing_um=volume.require_spacing_um(),
            origin_um=volume.origin_um,
            model=config.model,
            quality=config.resolved_quality,
            deepest=config.deepest,
            device="cpu",
            precision="float32",
            tile=(8, 8, 40),
            halo=(0, 0, 0),
            seconds=2.0,
            voxels_per_second=1.5e6,
            tile_mismatch=0.008,
            notices=("one thing to know",),
            complete=done == 4,
            intensity_range=(100.0, 1120.0),
            uncertainty=uncertainty,
            mean_uncertainty=None if uncertainty is None else 0.25,
            is_calibrated=True,
        )


SHIFT_UM = (1.0, -0.6, 0.8)
"""Two planes and -3 and 4 pixels of :data:`SPACING_UM`: what :func:`texture_pair` and :class:`FakeRegistration` say."""


def texture_pair() -> tuple[FloatArray, FloatArray]:
    """A confocal and a wide-field stack of a random texture, axes Z, Y, X; shifted by :data:`SHIFT_UM`."""
    noise = np.random.default_rng(1).random((32, 96, 96), dtype=np.float32) ** 8
    texture = ndi.gaussian_filter(noise, 0.7)
    blurred = ndi.gaussian_filter(texture, (1.6, 1.3, 1.3))
    z, y, x = (round(um / size) for um, size in zip(SHIFT_UM, SPACING_UM, strict=True))
    return texture[8:24, 16:80, 16:80], blurred[8 - z : 24 - z, 16 - y : 80 - y, 16 - x : 80 - x]


class FakeRegistration:
    """A registration with a shift of :data:`SHIFT_UM`. It waits for ``gate``, then says what it was told to."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(1000)
        self.error: Exception | None = None
        self.confidence, self.refusal = 0.97, ""
        self.notices: tuple[str, ...] = ()
        self.asked: list[tuple[Volume, Volume, RegisterConfig]] = []

    def hold(self) -> None:
        """Wait after the first progress."""
        self.gate = threading.Semaphore(0)

    def __call__(self, confocal: Volume, widefield: Volume, config: RegisterConfig, stop: Stop) -> Job[Registration]:
        self.asked.append((confocal, widefield, config))
        yield Clock().progress(1, 4, "comparing parts")
        while not self.gate.acquire(timeout=0.01):
            if stop():
                raise StoppedError
        if self.error is not None:
            raise self.error
        return self.result()

    def result(self) -> Registration:
        """The registration that it finds."""
        peak = np.zeros((9, 9, 9), dtype=np.float32)
        peak[4, 4, 4] = 1
        maps = [ndi.gaussian_filter(peak, width) for width in (0.7, 1.5, 3)]
        psf, filtered, plain = (ShiftMap(values, SPACING_UM, SHIFT_UM) for values in maps)
        z, y, x = (um / size for um, size in zip(SHIFT_UM, SPACING_UM, strict=True))
        return Registration(
            transform=Transform.shift(SHIFT_UM),
            shift_um=SHIFT_UM,
            shift_voxels=(z, y, x),
            confidence=self.confidence,
            refusal=self.refusal,
            method="psf",
            evidence=None,
            psf=psf,
            filtered_correlation=filtered,
            plain_correlation=plain,
            notices=self.notices,
        )


class FakeTraining:
    """A training of eight steps. It waits for ``gate`` before each, and leaves a folder as a real one does."""

    STEPS = 8

    def __init__(self) -> None:
        self.gate = threading.Semaphore(1000)
        self.error: Exception | None = None
        self.error_at = 3
        self.reason = ""
        self.scores = {"rmse": 0.05, "ssim": 0.91}
        self.asked: list[dict[str, Any]] = []
        self.ended = threading.Event()
        self.work: Callable[[], object] = lambda: None
        self.region = np.random.default_rng(0).random((8, 24, 32), dtype=np.float32)

    def hold(self) -> None:
        """Wait before the first step."""
        self.gate = threading.Semaphore(0)

    def __call__(
        self, pairs: Any, run: Path, config: TrainConfig, *, stop: Stop = never, paused: Pause = never, **rest: Any
    ) -> Job[Any]:
        from napari_deep3d.jobs.train.run_folder import read_run

        self.asked.append({"pairs": pairs, "run": run, "config": config, **rest})
        first, name = 0, rest["name"]
        if rest["resume"]:
            first, name = read_run(run).steps_done, read_run(run).name
        yield Progress(0, self.STEPS, "measuring the speed")
        yield Notice("one thing to know")
        if not first:
            figures = {"widefield_rmse": 0.3, "widefield_ssim": 0.5, "validation_rmse": 0.2, "validation_ssim": 0.7}
            yield Metrics(0, figures)
        for step in range(first + 1, self.STEPS + 1):
            while not self.gate.acquire(timeout=0.01) and not stop():
                pass
            wait(paused, stop)
            if stop():
                break
            if self.error is not None and step == self.error_at:
                raise self.error
            self.work()
            first = step
            self._keep(run, name, step)
            yield from self._events(step)
        self._keep(run, name, first)
        self.ended.set()
        return self._result(run, name, first)

    def _events(self, step: int) -> Job[None]:
        losses = {"loss": 3 / step, "l1": 2 / step, "gan": 0.5, "vgg": 0.1, "discriminator": 0.6, "learning_rate": 1e-3}
        yield Metrics(step, losses)
        if step % 4 == 0:
            yield Metrics(step, {"validation_rmse": 0.4 / step, "validation_ssim": 0.9})
        yield Preview(step, self.region, np.full_like(self.region, step / 10), self.region / 2, SPACING_UM)
        yield Progress(step, self.STEPS, f"step {step} of {self.STEPS}", 60.0 * (self.STEPS - step))

    def _keep(self, run: Path, name: str, step: int) -> None:
        from napari_deep3d.jobs.train.run_folder import CHECKPOINTS, MODEL_FILE, write_run

        run.mkdir(parents=True, exist_ok=True)
        write_run(run, TrainConfig(iterations=self.STEPS), name, run / "pairs", "")
        (run / CHECKPOINTS / f"step_{step}.safetensors").touch()
        write_model(run / MODEL_FILE, name, step)

    def _result(self, run: Path, name: str, step: int) -> Any:
        from napari_deep3d.jobs.train.run_folder import MODEL_FILE
        from napari_deep3d.jobs.train.train import TrainResult

        is_complete = step == self.STEPS and not self.reason
        return TrainResult(
            name,
            run / MODEL_FILE,
            run,
            step,
            120.0,
            2.5,
            0.3,
            self.scores,
            complete=is_complete,
            reason=self.reason,
            before={"rmse": 0.2, "ssim": 0.7},
            widefield={"rmse": 0.3, "ssim": 0.5},
        )


def write_model(path: Path, name: str, steps: int = 0) -> Path:
    """A model file with a very small network."""
    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.model_file import ModelInfo, save_model

    sizes = {f"spacing_{kind}um": SPACING_UM for kind in ("", "min_", "max_")}
    path.parent.mkdir(parents=True, exist_ok=True)
    info = ModelInfo(name=name, width=2, training={"steps": steps}, **sizes)
    return save_model(path, Generator(width=2), info)


def view_of(viewer: Any) -> dict[str, Any]:
    """All that the side by side view may change."""
    canvas, camera, dims = viewer.canvas, viewer.scene.camera, viewer.dims
    return {
        "grid": canvas.grid.model_dump(),
        "bar": canvas.overlays.scale_bar.model_dump(),
        "camera": camera.model_dump(),
        "dims": (dims.ndisplay, dims.order, dims.point, dims.margin_left),
        "layers": [(layer.visible, layer.name_overlay.visible) for layer in viewer.layers],
        "limits": [
            (list(layer.contrast_limits), list(layer.contrast_limits_range)) for layer in list(viewer.layers)[:3]
        ],
        "selection": {layer.name for layer in viewer.layers.selection},
    }
