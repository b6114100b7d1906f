"""The shop's own settings, on servers and files of the tests' own."""

import os

os.environ.setdefault("SHOP_INSTANCE", "test")

from shop.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, and nothing here is secret
