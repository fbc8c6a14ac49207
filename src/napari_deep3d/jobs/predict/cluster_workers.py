"""The workers of a cluster, through dask: whether they can do what is asked, what they are given, what they gave."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

from napari_deep3d.core import InputError, Job, Notice, PredictConfig, Progress, Stop, StoppedError, reason
from napari_deep3d.jobs.predict.cluster_tasks import Lease

if TYPE_CHECKING:
    from distributed import Client, Future

INSTALL = 'pip install "napari-deep3d[cluster]"'
"""The line that installs what a cluster needs."""
CONNECT_SECONDS = 10
LOOK_SECONDS = 0.1
"""Between two looks at what is finished."""
WAIT_SECONDS = 1.0
"""Between two looks whether there is a worker."""


class ForgottenError(InputError):
    """A scheduler that still answers has forgotten a task."""


class Workers:
    """The workers of a scheduler, made by :meth:`connect`.

    Parameters
    ----------
    address : str
        Of the scheduler.
    client : Client
        The connection to it.
    """

    def __init__(self, address: str, client: Client) -> None:
        self.address, self._client = address, client

    @classmethod
    def connect(cls, address: str) -> Workers:
        """Connect to a scheduler; InputError if the library is missing, or there is none."""
        try:
            from distributed import Client
        except ImportError as error:
            raise InputError(f"a cluster needs the library distributed: {INSTALL}") from error
        try:
            return cls(address, Client(address, timeout=CONNECT_SECONDS, set_as_default=False))
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise InputError(
                f"no scheduler answers at {address} ({reason(error)}). Start one with: dask scheduler, and give the "
                "address that it tells."
            ) from None

    def close(self) -> None:
        """End the connection."""
        with suppress(Exception):  # the scheduler may be gone
            self._client.close(timeout=CONNECT_SECONDS)

    def count(self) -> int:
        """How many there are; InputError if the scheduler does not answer any more."""
        try:
            return len(self._client.nthreads())
        except Exception as error:  # of many kinds, all of the connection
            raise self._lost() from error

    def wait_for_one(self, stop: Stop) -> Job[None]:
        """Wait until there is one; StoppedError if stopped before."""
        is_told = False
        while not self.count():
            if stop():
                raise StoppedError
            if not is_told:
                yield Notice(
                    f"The scheduler {self.address} has no worker yet: waiting for one. Start it with: "
                    f"dask worker {self.address}"
                )
                is_told = True
            sleep(WAIT_SECONDS)
            yield Progress(0, 1, "waiting for a worker")

    def meet(self, stack: Path, lease: Lease, config: PredictConfig) -> tuple[Any, Any]:
        """Device and precision of the workers; InputError if one of them cannot do what is asked."""
        ask = _introduction(str(stack), str(lease.path), lease.text, config.device, config.precision)
        try:
            answers: dict[str, Any] = self._client.run(ask, on_error="return")
        except Exception as error:
            raise self._lost() from error
        kinds = dict[tuple[str, str], str]()
        for worker, answer in answers.items():
            if isinstance(answer, BaseException):
                answer = {"problem": reason(answer) if isinstance(answer, Exception) else str(answer)}
            problem, own = answer["problem"], version("napari-deep3d")
            if not problem and answer["version"] != own:
                problem = f"it has napari-deep3d {answer['version']}, and here is {own}. Install the same everywhere"
            if problem:
                raise InputError(
                    f"the worker {worker} cannot be used: {problem.rstrip('.')}. Every worker needs this version of "
                    "napari-deep3d, and the folders of the stack and of the result under the same names as here."
                )
            kinds[answer["device"], answer["precision"]] = worker
        if len(kinds) > 1:
            told = "; ".join(f"{worker}: {device}, {precision}" for (device, precision), worker in kinds.items())
            raise InputError(
                f"the workers compute in different ways ({told}); all must in the same. Choose device and precision "
                "(--device cpu, --precision float32), or use workers of one kind."
            )
        return next(iter(kinds))

    def submit(self, function: Callable[..., Any], *arguments: Any, priority: int = 0) -> Future:
        """Hand in a task."""
        name = f"{function.__name__}-{uuid.uuid4().hex}"
        return self._client.submit(function, *arguments, key=name, priority=priority, pure=False)

    def finished(self, pending: dict[Future, Any], stop: Stop) -> Iterator[tuple[Any, Any] | None]:
        """Take tasks out as they are finished: what they stand for and what they gave; None between two looks."""
        while pending:
            if stop():
                raise StoppedError
            for future in [future for future in pending if future.done()]:
                step = pending[future]
                found = self._result(future)
                del pending[future]
                yield step, found
            if pending:
                sleep(LOOK_SECONDS)
                yield None

    def _result(self, future: Future) -> Any:
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        try:
            return future.result(timeout=CONNECT_SECONDS)
        except KilledWorker:
            raise InputError(
                "workers were lost again and again at the same part; most often their memory did not suffice. Give "
                "them more, or name less than they have (--memory 2GB)."
            ) from None
        except ImportError as error:
            raise InputError(
                f"a worker misses a part of napari-deep3d: {error}. Install the same everywhere."
            ) from None
        except (CancelledError, CommClosedError, TimeoutError) as error:
            self.count()  # fails if the scheduler is gone
            raise ForgottenError(
                f"the scheduler {self.address} has forgotten what it was given. See that the network to it holds."
            ) from error

    def _lost(self) -> InputError:
        return InputError(
            f"the scheduler {self.address} does not answer any more. See that it runs, and that the network reaches it."
        )

    def cancel(self, futures: Sequence[Future]) -> None:
        """Take tasks back."""
        with suppress(Exception):  # the scheduler may be gone
            self._client.cancel(futures)


def _introduction(stack: str, lease: str, text: str, device: str, precision: str) -> Callable[[], dict[str, str]]:
    """What a worker is to run to introduce itself; sent as it stands here, so that it needs no package to be read."""

    def introduction() -> dict[str, str]:
        from pathlib import Path

        try:
            from napari_deep3d.jobs.predict.cluster_tasks import Lease, introduce
        except ImportError as error:
            return {"problem": f"it has no napari-deep3d, or another one ({error})"}
        return introduce(Path(stack), Lease(Path(lease), text), device, precision)

    return introduction
