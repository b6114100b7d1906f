"""The shop's settings, on servers and files of the tests' own, with one more context."""

import os

# Workers that share the tests (pytest -n 2) have servers and files each for itself.
instance = os.environ.setdefault("SHOP_INSTANCE", "test")
worker = os.environ.get("PYTEST_XDIST_WORKER")
if worker and not instance.endswith(worker):  # a process that a test starts has the worker's already
    os.environ["SHOP_INSTANCE"] = f"{instance}-{worker}"
    if "BROKER_URL" in os.environ:
        os.environ.setdefault("QUEUE_PREFIX", f"{worker}.")

from shop import contexts  # noqa: E402

contexts.APPS.append("tests.contexts.sample")

from shop.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, and nothing here is secret

if worker:  # also on one server, if it is not an embedded one
    for database in DATABASES.values():  # noqa: F405
        database["TEST"] = {"NAME": f"test_{database['NAME']}_{worker}"}

# Many tests alter messages on their way: who may do so has the key. Those of signatures set one.
MESSAGE_KEYS, MESSAGE_SIGNATURES = [], "verify"

# What an earlier run counted is none of this one's; a process that a test starts counts with it.
run = os.environ.setdefault("TESTS_RUN", os.urandom(4).hex())
CACHES["default"]["KEY_PREFIX"] = f"test-{run}-{worker or ''}"  # noqa: F405
