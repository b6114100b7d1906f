import json
import subprocess

import psutil
import pytest

from shop.local.stack import file as stackfile
from shop.local.stack.file import StackFile


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(stackfile, "SHARED", tmp_path / "stack.json")
    file = StackFile("test-local-stackfile")
    file.own = tmp_path / "own" / "stack.json"
    file.own.parent.mkdir()
    return file


def test_it_lies_in_the_instances_folder_and_in_var_until_the_stack_ends(file):
    file.write({"base_url": "http://127.0.0.1:8000"})
    assert stackfile.read(file.own) == stackfile.read(stackfile.SHARED)
    assert stackfile.SHARED.stat().st_mode & 0o077 == 0  # it holds passwords
    file.remove()
    assert not file.own.exists()
    assert not stackfile.SHARED.exists()


def test_another_living_stacks_file_is_left_alone(file):
    with subprocess.Popen(["sleep", "60"]) as other:
        content = {"up": other.pid, "up_since": psutil.Process(other.pid).create_time()}
        stackfile.SHARED.write_text(json.dumps(content))
        file.write({})
        file.remove()
        assert stackfile.read(stackfile.SHARED) == content
        other.kill()


def test_a_file_whose_pid_belongs_to_a_process_that_began_at_another_time_is_stale(file):
    me = psutil.Process()
    stackfile.SHARED.write_text(json.dumps({"up": me.ppid(), "up_since": me.create_time() - 1000}))
    assert stackfile.owner(stackfile.SHARED) is None
    file.write({"base_url": "new"})
    assert stackfile.owner(stackfile.SHARED) == me.pid
    file.remove()
    assert not stackfile.SHARED.exists()


@pytest.mark.parametrize("left", ['{"up": 999999999}', '{"up": 1, "truncated', "{}"])
def test_a_file_that_a_killed_stack_left_is_replaced(file, left):
    stackfile.SHARED.write_text(left)
    file.write({"base_url": "new"})
    assert stackfile.read(stackfile.SHARED)["base_url"] == "new"
