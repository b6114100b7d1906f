"""Members in the admin, and Django's users, groups and API tokens."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import admin as auth
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework.authtoken import admin as authtoken
from rest_framework.authtoken.models import TokenProxy
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from shop.admin.lists import KeysetChangeList
from shop.admin.pages import DomainPage, Page, RefusableForm, each
from shop.admin.shown import badge, page_link
from shop.members import services
from shop.members.credit.admin import summary
from shop.members.models import Member
from shop.messaging.admin.timeline import events_of_key


class JoinForm(RefusableForm):
    """A new member, with its user."""

    username = User._meta.get_field("username").formfield(widget=UnfoldAdminTextInputWidget)
    email = forms.EmailField(required=False, widget=UnfoldAdminTextInputWidget)
    password = forms.CharField(
        required=False,
        widget=UnfoldAdminPasswordWidget,
        help_text="Without one, the member cannot log in here, but its API token works.",
    )

    class Meta:
        model = Member
        fields = ("name",)

    def clean_password(self) -> str | None:
        password: str = self.cleaned_data["password"]
        if password:
            validate_password(password)
        return password or None


@admin.register(Member)
class MemberPage(DomainPage):
    """Who may buy. A member is never deleted: it is deactivated."""

    list_display = ("user_id", "name", "username", "state")
    list_select_related = ("user",)
    search_fields = ("user_id", "user__username")
    search_help_text = "Member id or user name, exactly"
    ordering = ("user_id",)
    fields = ("name", "active", ("account", "credit"), "events")
    add_fieldsets = ((None, {"fields": ("username", "name", "email", "password")}),)
    readonly_fields = ("account", "credit", "events")
    actions = ("deactivate", "reactivate")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs |= {"form": JoinForm, "fields": ("name",)}
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Member, form: Any, change: bool) -> None:
        if change:
            fields = {name: form.cleaned_data[name] for name in form.changed_data}
            services.change_member(member_id=obj.pk, **fields)
        else:
            obj.user = services.join(**form.cleaned_data).user

    @admin.display(description="user name")
    def username(self, row: Member) -> str:
        return row.user.username

    @admin.display(description="state")
    def state(self, row: Member) -> str:
        return badge("active", "success") if row.active else badge("deactivated")

    @admin.display(description="user")
    def account(self, row: Member) -> str:
        return page_link("auth_user", row.pk, row.user.username)

    @admin.display
    def credit(self, row: Member) -> str:
        return page_link("members_creditaccount", row.pk, summary(row.pk))

    @admin.display(description="announcements")
    def events(self, row: Member) -> str:
        return events_of_key("members", row.key)

    @admin.action(permissions=["operate"], description="Deactivate: no new orders")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        members = list(queryset)
        each(self, request, members, lambda row: active(row, False), done=("member", "deactivated"), log="Deactivated.")

    @admin.action(permissions=["operate"], description="Reactivate")
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        members = list(queryset)
        each(self, request, members, lambda row: active(row, True), done=("member", "reactivated"), log="Reactivated.")


def active(member: Member, value: bool) -> Member:
    """Deactivate or reactivate a member. :raises NotFound:"""
    return services.change_member(member_id=member.pk, active=value)


admin.site.unregister([User, Group, TokenProxy])

# Their types do not fit together with ours, which are unfold's: none.
UserAdmin: Any = auth.UserAdmin
GroupAdmin: Any = auth.GroupAdmin
TokenAdmin: Any = authtoken.TokenAdmin


@admin.register(User)
class UserPage(UserAdmin, Page):  # type: ignore[misc]
    """Who may log in. Deactivate rather than delete: the log says who did what."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_staff", "is_active")
    list_filter = ()
    search_fields = ("id", "username")
    search_help_text = "User id or user name, exactly"
    ordering = ("username",)


@admin.register(Group)
class GroupPage(GroupAdmin, Page):  # type: ignore[misc]
    """Roles: what their users may do."""

    ordering = ("name",)
    search_fields = ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super(Page, self).has_delete_permission(request, obj))


class TokenList(KeysetChangeList):
    """Links a token by its user's id: the key is a secret, and addresses are written to logs."""

    def url_for_result(self, result: Any) -> str:
        return f"{result.user_id}/change/"


@admin.register(TokenProxy)
class TokenPage(TokenAdmin, Page):  # type: ignore[misc]
    """API tokens: a user has at most one; deleting it revokes it."""

    list_display = ("user", "ending", "created")
    list_filter = ()
    list_select_related = ("user",)
    search_fields = ("user_id", "user__username")
    search_help_text = "User id or user name, exactly"
    ordering = ("user_id",)
    raw_id_fields = ("user",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return ("user", "key", "created") if obj else ("user",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return ("user", "key", "created") if obj else ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return TokenList

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super(Page, self).has_delete_permission(request, obj))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # The log is of the user: a token's own name is its key.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        super().log_change(request, obj.user, "Given an API token.")

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        for token in queryset:
            super().log_change(request, token.user, "Its API token was revoked.")

    @admin.display(description="key ends with")
    def ending(self, row: Any) -> str:
        return f"…{row.key[-4:]}"
