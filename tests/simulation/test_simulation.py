"""Ten thousand schedules without a law broken; and the laws find what is wrong."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from isthmus.core import reconcile, salvage
from isthmus.core.datapath import KernelObject
from isthmus.core.model import Endpoint, EndpointId
from isthmus.core.reconcile import Step, Verb
from isthmus.core.world import Evolution
from isthmus.edge.store import Unchanged
from isthmus.netplugin import census, kernel_turns, ledger, mirror, name_turns
from isthmus.wire import keys
from isthmus.wire.docker_api import Occupant
from tests.simulation.schedule import played

pytestmark = pytest.mark.simulation

SCHEDULES = 10_000
ENOUGH = 400


@pytest.mark.timeout(2400)
def test_in_ten_thousand_schedules_no_law_is_broken() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--count", str(SCHEDULES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout == f"{SCHEDULES} schedules, 0 broke a law\n"


def test_a_seed_gives_the_same_run_again() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seed", "7"]
    shown = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert shown[0] == shown[1]
    assert shown[0].count("\n") > 5


Plant = Callable[[pytest.MonkeyPatch], object]


def without_the_guard_of_an_address(patch: pytest.MonkeyPatch) -> None:
    nothing = Unchanged(keys.ROOT + "nothing-is-there", 0)
    patch.setattr(
        ledger, "Unchanged", lambda key, revision: nothing if keys.ADDRESSES in key else Unchanged(key, revision)
    )


def with_a_census_that_sees_nobody(patch: pytest.MonkeyPatch) -> None:
    async def nobody(_self: census.Census) -> dict[EndpointId, Occupant]:
        return {}

    patch.setattr(census.Census, "_occupants", nobody)


def without_anything_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(salvage, "keep", lambda *_: {})


def without_removals(patch: pytest.MonkeyPatch) -> None:
    steps = reconcile.steps

    def added(desired: frozenset[KernelObject], actual: frozenset[KernelObject]) -> tuple[Step, ...]:
        return tuple(step for step in steps(desired, actual) if step.verb is Verb.ADD)

    patch.setattr(kernel_turns, "steps", added)


def with_a_mirror_that_forgets_no_endpoint(patch: pytest.MonkeyPatch) -> None:
    differences = mirror.Mirror._differences

    def kept(self: mirror.Mirror, before: object) -> object:
        changes = differences(self, before)  # type: ignore[arg-type]
        return (each for each in changes if not (each.is_removal and isinstance(each.record, Endpoint)))

    patch.setattr(mirror.Mirror, "_differences", kept)


def with_names_that_are_one_step_behind(patch: pytest.MonkeyPatch) -> None:
    learn = name_turns.NameBook.learn
    waiting: dict[name_turns.NameBook, list[Evolution]] = {}

    def late(self: name_turns.NameBook, evolution: Evolution) -> None:
        if evolution.networks:
            queue = waiting.setdefault(self, [])
            queue.append(evolution)
            if len(queue) > 1:
                learn(self, queue.pop(0))

    patch.setattr(name_turns.NameBook, "learn", late)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "plant",
    [
        without_the_guard_of_an_address,
        with_a_census_that_sees_nobody,
        without_anything_kept,
        without_removals,
        with_a_mirror_that_forgets_no_endpoint,
        with_names_that_are_one_step_behind,
    ],
)
def test_a_planted_defect_breaks_a_law(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(played(seed)[0] for seed in range(ENOUGH))
