"""Without one of its rules the protocol does not hold: each is taken away by itself."""

from dataclasses import replace

import pytest

from tests.model.configurations import CONFIGURATIONS, UNVERSED_WORKERS
from tests.model.protocol import Configuration
from tests.model.rules import ALL, HARM, SPARE, Harm, Rule
from tests.model.search import search


def without(rule: Rule, configuration: str) -> Configuration:
    return replace(CONFIGURATIONS[configuration], rules=ALL - {rule})


@pytest.mark.parametrize("rule", HARM, ids=lambda rule: rule.name.lower().replace("_", "-"))
def test_without_a_rule_the_search_finds_the_harm_it_prevents(rule: Rule) -> None:
    configuration, harm = HARM[rule]
    result = search(without(rule, configuration))
    assert result.harm == harm, f"{rule.value}\n{result}"
    assert 0 < len(result.trace) <= 30


@pytest.mark.slow  # nothing cuts these searches short, and they only change with the model
@pytest.mark.parametrize("rule", SPARE, ids=lambda rule: rule.name.lower().replace("_", "-"))
def test_without_a_rule_that_other_rules_cover_nothing_is_harmed(rule: Rule) -> None:
    configuration, _ = SPARE[rule]
    assert search(without(rule, configuration)).harm is None


def test_every_rule_is_taken_away_once() -> None:
    assert set(HARM) | set(SPARE) == ALL
    assert not set(HARM) & set(SPARE)


def test_workers_of_the_release_before_claims_must_stop_before_newer_ones_start() -> None:
    assert search(UNVERSED_WORKERS).harm == Harm.LOST


def test_a_trace_tells_how_the_harm_comes_about() -> None:
    result = search(without(Rule.LANES_ARE_LOCKED, "broker"))
    assert "stays open" in str(result)
    assert str(result).startswith(f"{Harm.LOST}:\n  1. ")
