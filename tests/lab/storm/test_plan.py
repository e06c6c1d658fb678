"""A storm's plan: the same for the same seed, of everything that was asked for, and possible if all goes well."""

from collections import Counter

from tests.lab.storm.plan import CALM_EVERY, NODES, QUEUES, Kind, Operation, Verb, plan

SEED = 11


def operations(seed: int, count: int) -> list[Operation]:
    return [each for stage in plan(seed, count) for queue in stage.queues for each in queue]


def test_the_same_seed_gives_the_same_storm_and_another_gives_another() -> None:
    assert list(plan(SEED, 500)) == list(plan(SEED, 500))
    assert list(plan(SEED, 500)) != list(plan(SEED + 1, 500))


def test_a_longer_storm_begins_as_a_shorter_one() -> None:
    assert list(plan(SEED, 1000))[:5] == list(plan(SEED, 500))


def test_every_operation_is_there_once_and_every_verb_often() -> None:
    done = operations(SEED, 1000)
    assert sorted(each.step for each in done) == list(range(1, 1001))
    verbs = Counter(each.verb for each in done)
    assert set(verbs) == set(Verb)
    assert min(verbs.values()) > 10, verbs


def test_a_queue_uses_no_container_before_it_is_made_nor_after_it_is_removed() -> None:
    alive: set[str] = set()
    for each in operations(SEED, 1000):
        if each.verb is Verb.CREATE:
            alive.add(each.slot)
        assert each.slot in alive, each
        if each.verb is Verb.REMOVE:
            alive.remove(each.slot)


def test_two_containers_of_a_node_never_have_one_name() -> None:
    names: dict[str, tuple[int, str]] = {}
    for each in operations(SEED, 1000):
        names.pop(each.slot, None) if each.verb is Verb.REMOVE else None
        if each.name:
            assert (each.node, each.name) not in {place for slot, place in names.items() if slot != each.slot}, each
            names[each.slot] = (each.node, each.name)


def test_every_kind_of_disturbance_comes_on_every_node_and_some_rounds_are_calm() -> None:
    rounds = list(plan(SEED, 4000))
    blows = {blow for stage in rounds for disturbance in stage.disturbances for blow in disturbance.blows}
    assert {(blow.kind, blow.node) for blow in blows} == {(kind, node) for kind in Kind for node in range(1, NODES + 1)}
    assert [not stage.disturbances for stage in rounds] == [i % CALM_EVERY == 0 for i in range(len(rounds))]
    assert all(len(stage.queues) == NODES * len(QUEUES) for stage in rounds)
    at_once = [each.blows for stage in rounds for each in stage.disturbances if len(each.blows) > 1]
    assert at_once
    assert all(len({blow.node for blow in blows}) == len(blows) for blows in at_once)
