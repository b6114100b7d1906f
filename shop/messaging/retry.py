"""What a reaction raises when its events are fine and the moment is not."""


class Retry(Exception):
    """Not now: roll back, acknowledge nothing, and try the same again later, with growing pauses.

    Never counts against an event. Raise it for what passes by itself and no SQLSTATE tells, such as a
    service that does not answer::

        except SearchUnavailable as error:
            raise Retry("the search engine does not answer") from error
    """
