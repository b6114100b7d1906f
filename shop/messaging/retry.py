"""What a reaction raises when its events are fine, and what it needs is temporarily unavailable."""


class Retry(Exception):
    """Roll back, acknowledge nothing, and try the same again later, with growing pauses.

    It never counts against an event. Raise it for failures that pass by themselves and have no SQLSTATE, such as a
    service that does not answer::

        except SearchUnavailable as error:
            raise Retry("the search engine does not answer") from error
    """
