"""The Content-Security-Policy of every answer.

A page may load and reach what this server serves, and run nothing that stands in it: no inline scripts, and outside the
admin no eval (:mod:`shop.admin.scripts`). Inline styles need the nonce of their request.
"""

from typing import Any

from csp.constants import NONCE, NONE, SELF

POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],  # icons inside style sheets, and the docs page's
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
