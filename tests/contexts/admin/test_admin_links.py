"""Every link that a page shows leads somewhere, for whoever sees it."""

import re
from collections import Counter, deque
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from django.contrib.auth.models import Group, User
from django.urls import resolve, reverse

from shop.console.roles import ensure_roles, roles
from tests.contexts.admin.conftest import Browser
from tests.contexts.admin.test_admin_pages import fill
from tests.harness import Shop

MACHINERY = re.compile(r"\w+_(outboxevent|subscription|fence|cursor|deadletter|letterretry)_")


class Links(HTMLParser):
    """Collects where a page leads to: its links, and the dialogs of its buttons."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.found += [given.get("hx-get") or "", (given.get("href") or "") if tag == "a" else ""]


def crawl(browser: Browser) -> Iterator[tuple[str, str, int]]:
    """Open what can be reached from the index, one page of each kind; yield address, where it was shown, and status.

    A kind is a view, with or without parameters. The machinery's pages are the same in each context: one of them does.
    """
    start = reverse("admin:index")
    queue, kinds = deque([(start, "")]), set()
    while queue:
        url, shown_on = queue.popleft()
        answer = browser.client.get(url)
        yield url, shown_on, answer.status_code
        links = [answer["Location"]] if answer.status_code in (301, 302) else Links(answer.content.decode()).found
        for target in sorted({urljoin(url, link).partition("#")[0] for link in links if link}):
            kind = kind_of(target)
            if kind not in kinds:
                kinds.add(kind)
                queue.append((target, url))


def kind_of(target: str) -> tuple[str, bool]:
    """:raises Resolver404: if there is no such page."""
    parts = urlsplit(target)
    name = resolve(parts.path).view_name
    return MACHINERY.sub(r"\1_", name), bool(parts.query)


def worker(role: str, group: Group) -> Browser:
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(group)
    return Browser(user)


def test_every_link_that_a_role_sees_can_be_opened(shop: Shop) -> None:
    fill(shop)
    groups = ensure_roles()
    assert set(groups) == set(roles()) >= {"catalogue", "stock", "orders", "operations", "support"}
    browsers = [worker(role, group) for role, group in groups.items()]
    opened: Counter[str] = Counter()
    dead = []
    for browser in browsers:
        for url, shown_on, status in crawl(browser):
            opened[browser.user.username] += 1
            if status >= 400:
                dead.append((browser.user.username, status, url, shown_on))
    assert dead == []
    assert min(opened.values()) >= 4, opened


def test_every_link_to_a_row_has_its_key_quoted(shop: Shop, boss: Browser) -> None:
    """A30 is another product: unquoted, A_30 is 0x30, "0"."""
    shop.sell("A_30", stock=1)
    shop.drain()
    for model in ("catalogue_product", "inventory_stockitem"):
        change = boss.url(model, "change", "A_30")
        assert "A_5F30" in change
        for page in (change, boss.url(model, "history", "A_30")):
            answer = boss.client.get(page)
            assert answer.status_code == 200
            rows = {link for link in Links(answer.content.decode()).found if "/A" in link}
            assert {link.partition("/A")[2].partition("/")[0] for link in rows} == {"_5F30"}, rows
            assert change in rows


def test_support_reads_members_and_orders_with_names_and_changes_nothing(shop: Shop) -> None:
    fill(shop)
    group = ensure_roles()["support"]
    support = worker("support", group)
    assert {codename.partition("_")[0] for codename in group.permissions.values_list("codename", flat=True)} == {"view"}
    assert "Ada" in support.listed("members_member").content.decode()
    page = support.listed("readmodel_orderview")
    assert "Ada" in page.content.decode()
    order = page.context["cl"].result_list[0]
    shown = support.opened("orders_order", order.pk).content.decode()
    assert support.url("members_member", "change", order.member_id) in shown
    assert support.url("orders_order", "cancel", order.pk) not in shown
    refusals = [
        support.client.post(support.url("orders_order", "cancel", order.pk), {"_form_submitted": "on"}),
        support.client.post(support.url("members_member", "change", order.member_id), {"name": "Eve"}),
        support.client.get(support.url("members_member", "add")),
        support.client.get(support.url("inventory_stockitem", "receive_new")),
    ]
    assert [answer.status_code for answer in refusals] == [403] * 4


def test_tokens_and_users_are_not_for_support(shop: Shop) -> None:
    fill(shop)
    support = worker("support", ensure_roles()["support"])
    for model in ("authtoken_tokenproxy", "auth_user", "auth_group"):
        assert support.listed(model).status_code == 403
