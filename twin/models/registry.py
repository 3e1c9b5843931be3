"""The site, platforms 平台, instruments 仪器 and controllers 控制装置."""

from typing import Any

from tortoise import fields
from tortoise.models import Model


class Site(Model):
    """The site as a whole: one row. `policy` and `opening` hold wherever nothing more specific is set."""

    id = fields.SmallIntField(primary_key=True)
    name_zh = fields.CharField(max_length=200)
    name_en = fields.CharField(max_length=200)
    timezone = fields.CharField(max_length=64)
    policy: dict[str, Any] = fields.JSONField(default=dict)
    opening: dict[str, Any] | None = fields.JSONField(null=True)

    class Meta:
        table = "site"


class Platform(Model):
    """A sharing platform of one of three levels."""

    id = fields.IntField(primary_key=True)
    code = fields.CharField(max_length=64, unique=True)
    name_zh = fields.CharField(max_length=200)
    name_en = fields.CharField(max_length=200)
    level = fields.CharField(max_length=16)
    parent_id: int | None
    parent: fields.ForeignKeyNullableRelation["Platform"] = fields.ForeignKeyField(
        "models.Platform", related_name="children", null=True, on_delete=fields.RESTRICT
    )
    policy: dict[str, Any] = fields.JSONField(default=dict)
    opening: dict[str, Any] | None = fields.JSONField(null=True)

    class Meta:
        table = "platform"


class Instrument(Model):
    """An instrument of the catalogue. `policy` overrides what platform and site set."""

    id = fields.IntField(primary_key=True)
    code = fields.CharField(max_length=64, unique=True)
    name_zh = fields.CharField(max_length=200)
    name_en = fields.CharField(max_length=200)
    model = fields.CharField(max_length=200, default="")
    place = fields.CharField(max_length=200, default="")
    category = fields.CharField(max_length=6, default="")
    value_cny = fields.DecimalField(max_digits=14, decimal_places=2)
    in_service_since = fields.DateField(null=True)
    platform_id: int
    platform: fields.ForeignKeyRelation[Platform] = fields.ForeignKeyField(
        "models.Platform", related_name="instruments", on_delete=fields.RESTRICT
    )
    policy: dict[str, Any] = fields.JSONField(default=dict)
    opening: dict[str, Any] | None = fields.JSONField(null=True)

    class Meta:
        table = "instrument"


class Controller(Model):
    """The controller of one instrument. Its password is known to the broker and to itself, here only as a digest."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=64, unique=True)
    instrument: fields.OneToOneRelation[Instrument] = fields.OneToOneField(
        "models.Instrument", related_name="controller", on_delete=fields.RESTRICT
    )
    password_hash = fields.CharField(max_length=300)
    grant_key = fields.CharField(max_length=64, null=True)
    """What its grants are signed with, 64 hexadecimal digits; a secret that it shares with the service."""
    registered = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "controller"
