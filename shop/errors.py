"""What the domain says when it refuses. Views turn these into problem+json (RFC 9457)."""

from typing import Any, ClassVar


class DomainError(Exception):
    """A rule of the domain forbids what was asked; nothing was changed.

    ``code`` is stable, for machines; the message is for people, with the values and the way out;
    ``extra`` holds further members of the problem document.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 409

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class NotFound(DomainError):
    """What was named does not exist, or is not the caller's to see."""

    code = "not_found"
    status = 404


class Invalid(DomainError):
    """The request is well formed, but cannot be carried out as it stands."""

    code = "invalid"
    status = 422
