"""A thousand operations under fire; at every checkpoint everything agrees with the containers that run."""

import pytest

from isthmus.lab.running import RunningLab
from tests.lab.storm.storm import storm

pytestmark = [pytest.mark.root, pytest.mark.lab]

OPERATIONS = 1000
SEED = 4


@pytest.mark.timeout(1800)
def test_after_a_storm_of_a_thousand_operations_nothing_is_stale_and_nothing_is_missing(sea: RunningLab) -> None:
    print(storm(sea, SEED, OPERATIONS, print))
