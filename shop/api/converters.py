"""What a variable part of an address may be. How the schema describes it is in the settings."""

from django.urls.converters import IntConverter, StringConverter, UUIDConverter


class SkuConverter(StringConverter):
    """Any text: the view says what is wrong with one that is not a SKU, where this could only say 404."""


class AnyCaseUUID(UUIDConverter):
    """A UUID in lower or upper case (RFC 9562: any case is to be read)."""

    regex = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


class MemberConverter(IntConverter):
    """The id of a member: a whole number that the database can hold."""

    regex = "[0-9]{1,18}"


CONVERTERS: dict[str, type[StringConverter | UUIDConverter | IntConverter]] = {
    "sku": SkuConverter,
    "order": AnyCaseUUID,
    "member": MemberConverter,
}
