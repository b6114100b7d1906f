"""The shop's settings, on servers and files of the tests' own, with one more context."""

import os

os.environ.setdefault("SHOP_INSTANCE", "test")

from shop import contexts

contexts.APPS.append("tests.contexts.sample")

from shop.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, and nothing here is secret
