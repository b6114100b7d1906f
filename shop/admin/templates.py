"""Templates of packages with the few changes that we need, made as they are loaded: we keep no copies of them.

What is to be changed must be there: a new release of a package that says it differently is an error when the page is
first shown, and in the tests.
"""

from django.template import Origin
from django.template.loaders import app_directories

# A nonce lets the one inline style pass our Content-Security-Policy; htmx would add another, and evaluate texts.
NONCE = 'nonce="{{ request.csp_nonce }}"'
HTMX = """<meta name="htmx-config" content='{"allowEval": false, "includeIndicatorStyles": false}'>"""
ALPINE = """<script src="{% static 'unfold/js/alpine/alpine.js' %}" defer></script>"""

# Only names of models are capitalised, and not those of rows: the SKU phone-x1 is not Phone-x1.
TITLE = "{% if part.title.pk %}{{ part.title }}{% else %}{{ part.title|capfirst }}{% endif %}"

# Unfold's links to a row have its key as it is: the admin reads A_30 as A0. The row's list is the second part.
LINK = (
    "{% if part.title.pk %}{{ parts.1.link }}{{ part.title.pk|admin_urlquote }}/change/"
    "{% else %}{{ part.link }}{% endif %}"
)

CHANGES: dict[str, dict[str, str]] = {
    "unfold/layouts/skeleton.html": {
        '<style id="unfold-theme-colors">': f'<style id="unfold-theme-colors" {NONCE}>',
        ALPINE: f"{HTMX}{ALPINE}",
    },
    # A style given as a text is an inline style.
    "admin/actions.html": {"'width: ' + changeListWidth + 'px'": "{ width: changeListWidth + 'px' }"},
    # Relative: a browser knows the scheme and host better than we do behind a proxy.
    "unfold/helpers/dialog.html": {"{{ request.build_absolute_uri }}": "{{ request.get_full_path }}"},
    "unfold/helpers/header_title.html": {
        "{% spaceless %}": "{% load admin_urls %}{% spaceless %}",
        "{{ part.link }}": LINK,
        "{{ part.title|capfirst }}": TITLE,
    },
    "drf_spectacular/swagger_ui.html": {"<style>": f"<style {NONCE}>"},
}
"""By template: what stands there, and what we want there."""


class Loader(app_directories.Loader):
    """Django's loader of the apps' templates, with :data:`CHANGES`."""

    def get_contents(self, origin: Origin) -> str:
        """Return a template's text. :raises ValueError: if something that is to be changed is not in it."""
        contents = super().get_contents(origin)
        for old, new in CHANGES.get(str(origin.template_name), {}).items():
            if contents.count(old) != 1:
                raise ValueError(f"{origin.name} is to have one {old!r}, and has {contents.count(old)}")
            contents = contents.replace(old, new)
        return contents
