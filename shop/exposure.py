"""What must not be as it comes from the box where others can reach the shop."""

from ipaddress import ip_address

KEY_LENGTH = 32  # characters of a SECRET_KEY, at least; `check --deploy` asks for 50
KEY_VARIETY = 5  # different characters in it, at least

WAY_OUT = "make one: python -c 'import secrets; print(secrets.token_urlsafe(50))'"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def fault_of(secret_key: str) -> str | None:
    """Say why sessions signed with this key could be forged, and the way out."""
    if secret_key.startswith("only-for-"):
        return f"everybody knows the SECRET_KEY that the shop comes with: {WAY_OUT}"
    if len(secret_key) < KEY_LENGTH or len(set(secret_key)) < KEY_VARIETY:
        return f"the SECRET_KEY can be guessed, it has fewer than {KEY_LENGTH} characters or too few kinds: {WAY_OUT}"
    return None
