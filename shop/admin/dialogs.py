"""Buttons that open a dialog, which asks for fields or a confirmation, then makes one domain call."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from shop.admin.shown import list_url
from shop.errors import DomainError

Act = Callable[..., str | tuple[int, str]]


class Dialog(BaseDialogForm):
    """A dialog's fields. If the domain refuses, the reason is shown above them."""

    def render_before_template(self) -> str:
        return render_to_string("unfold/helpers/messages/error.html", {"errors": self.non_field_errors()})


def dialog(
    description: str,
    *,
    text: str,
    submit: str,
    icon: str,
    form: type[Dialog] = Dialog,
    danger: bool = False,
    to_list: bool = False,
) -> Callable[[Act], Any]:
    """Turn a method into a button: it is given the form, and the row's key if it is on a row's page.

    It makes one domain call and returns the message that says what was done (with a level, if not success).
    What the domain refuses is shown in the dialog. Then the page is loaded again, or the list where the row
    may be gone (``to_list``).
    Shown and allowed to those with the ``operate`` permission; the call is a POST under CSRF protection.
    """
    shape = {"title": description, "description": text, "form_class": form, "form_submit_text": submit}

    def decorate(act: Act) -> Any:
        @wraps(act)
        def answer(page: Any, request: HttpRequest, filled: Dialog, object_id: str | None = None) -> HttpResponse:
            try:
                done = act(page, request, filled, *([] if object_id is None else [unquote(object_id)]))
            except DomainError as refusal:
                filled.add_error(None, refusal.detail)
                context = {"dialog": shape, "form": filled, "form_submit_text": submit}
                return render(request, "unfold/helpers/dialog.html", context)
            level, message = (messages.SUCCESS, done) if isinstance(done, str) else done
            messages.add_message(request, level, message)
            back = list_url(page.opts.label_lower.replace(".", "_"))
            if "HX-Request" not in request.headers:
                return HttpResponseRedirect(back)
            return HttpResponse(headers={"HX-Redirect": back} if to_list else {"HX-Refresh": "true"})

        variant = ActionVariant.DANGER if danger else ActionVariant.DEFAULT
        return action(permissions=["operate"], description=description, icon=icon, variant=variant, dialog=shape)(
            answer
        )

    return decorate
