"""What scripts may do on the admin's pages."""

from collections.abc import Callable

from csp.constants import UNSAFE_EVAL
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponseBase


class AdminScripts:
    """Middleware. Lets pages under ``/admin/`` evaluate expressions in their attributes, as unfold's Alpine does.

    They may load scripts from this server alone, and run none that stands in the page, like every other page.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.get_admin_response = csp_update({"script-src": [UNSAFE_EVAL]})(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_admin = request.path.startswith("/admin/")
        response: HttpResponseBase = (self.get_admin_response if is_admin else self.get_response)(request)
        return response
