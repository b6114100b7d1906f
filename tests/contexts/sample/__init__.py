"""A small context of the tests' own: it publishes, and reacts to, greetings. Only tests/settings.py knows of it."""
