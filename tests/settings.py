"""The shop's own settings, on servers and files of the tests' own."""

import os

os.environ.setdefault("SHOP_INSTANCE", "test")

from shop.settings import *  # noqa: E402, F403
from shop.settings import BROKER_URL, DATABASES, INSTANCE  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, and nothing here is secret
