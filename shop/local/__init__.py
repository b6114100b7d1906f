"""Embedded PostgreSQL and Valkey, and the process runner behind ``manage.py up``."""
