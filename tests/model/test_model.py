"""The protocol holds in every state that the configurations reach."""

import pytest

from shop.messaging.failpoints import Failpoint
from tests.model.configurations import CONFIGURATIONS
from tests.model.search import search
from tests.model.states import Step

FAILPOINTS = {step.name for step in Step}

reached: dict[str, set[Step]] = {}
"""The steps that each search of a configuration went through."""


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_state_is_harmful_and_from_each_the_work_can_be_completed(name: str) -> None:
    result = search(CONFIGURATIONS[name])
    reached[name] = result.steps
    assert result.harm is None, f"\n{result}"
    assert result.states > 100


def test_every_step_is_reached_by_some_configuration() -> None:
    for name in {"broker", "letters", "producer restored", "generations"} - set(reached):
        reached[name] = search(CONFIGURATIONS[name]).steps
    assert set().union(*reached.values()) == set(Step)


def test_the_steps_of_the_model_are_the_failpoints_of_the_code() -> None:
    assert {failpoint.name for failpoint in Failpoint} == FAILPOINTS
