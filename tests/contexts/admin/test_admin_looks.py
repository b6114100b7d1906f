"""What people see at first: names as written, colours that can be read, nothing cut off, an icon."""

import math
import re
from contextlib import closing

import pytest
from django.test import Client
from django.urls import reverse

from tests.contexts.admin.conftest import Browser
from tests.harness import Shop

AA = 4.5  # WCAG 2, contrast of text: 1.4.3


def luminance(lightness: float, chroma: float, hue: float) -> float:
    """The relative luminance of an OKLCH colour (Ottosson, "A perceptual color space for image processing")."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    red, green, blue = (min(1.0, max(0.0, part)) for part in (red, green, blue))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def colour(page: str, name: str) -> float:
    """The luminance of a colour that a page defines."""
    found = re.search(rf"--color-{name}: *oklch\(([\d.]+)% ([\d.]+) ([\d.]+)\)", page)
    assert found, name
    return luminance(float(found[1]) / 100, float(found[2]), float(found[3]))


@pytest.mark.parametrize("behind", ["base-800", "base-900", "base-950"])
def test_links_of_the_dark_theme_can_be_read(boss: Browser, behind: str) -> None:
    page = boss.client.get(reverse("admin:index")).content.decode()
    assert (colour(page, "primary-500") + 0.05) / (colour(page, behind) + 0.05) >= AA


def test_links_of_the_light_theme_can_be_read(boss: Browser) -> None:
    page = boss.client.get(reverse("admin:index")).content.decode()
    assert (colour(page, "base-50") + 0.05) / (colour(page, "primary-600") + 0.05) >= AA


def test_breadcrumbs_name_a_row_as_it_is_written(shop: Shop, boss: Browser) -> None:
    shop.sell("phone-x1", stock=1)
    page = boss.opened("inventory_stockitem", "phone-x1").content.decode()
    crumbs = re.findall(r'truncate tracking-tight">\s*(.*?)\s*</(?:a|span) ?>', page)
    assert crumbs == ["Inventory", "Stock items", "phone-x1"]


def test_the_states_of_all_consumers_are_one_box_which_a_phone_does_not_cut_off(shop: Shop, boss: Browser) -> None:
    shop.sell("phone", stock=1)
    shop.drain()
    order = shop.place(("phone", 1))
    shop.drain()
    page = boss.opened("orders_order", order.pk).content.decode()
    (box,) = re.findall(r'<div class="lines">(inventory .*?)</div>', page, re.DOTALL)[:1]
    assert "<br>readmodel " in box
    assert 'href="/static/console/console.css"' in page
    with closing(Client().get("/static/console/console.css")) as answer:
        style = b"".join(answer.streaming_content).decode()
    assert re.search(r"td\[data-label\] \{[^}]*height: auto", style)


def test_the_icon_that_every_browser_asks_for_is_there(shop: Shop) -> None:
    with closing(Client().get("/favicon.ico", follow=True)) as answer:
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
