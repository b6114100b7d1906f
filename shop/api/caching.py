"""Answers of the API are for whoever asked: no cache between, nor a browser's, keeps them."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase


class NothingKept:
    """Middleware. Sets ``Cache-Control: no-store`` on answers under ``/api/`` that say nothing about caching."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path.startswith("/api/"):
            response.setdefault("Cache-Control", "no-store")
        return response
