"""Projects 经费项目 that sessions are charged to, and tariffs 收费标准."""

from typing import Any

from tortoise import fields
from tortoise.models import Model

from twin.models.people import Person
from twin.models.registry import Instrument


class Project(Model):
    """An account. Without instruments of its own it pays for all of them."""

    id = fields.IntField(primary_key=True)
    code = fields.CharField(max_length=64, unique=True)
    name_zh = fields.CharField(max_length=200)
    name_en = fields.CharField(max_length=200)
    balance_cny = fields.DecimalField(max_digits=14, decimal_places=2)
    credit_line_cny = fields.DecimalField(max_digits=14, decimal_places=2)
    valid_from = fields.DatetimeField(null=True)
    valid_until = fields.DatetimeField(null=True)
    free_min = fields.IntField(default=0)
    fund_share_percent = fields.IntField(default=0)
    fund_left_cny = fields.DecimalField(max_digits=14, decimal_places=2)
    payers: fields.ManyToManyRelation[Person] = fields.ManyToManyField(
        "models.Person",
        through="project_payer",
        backward_key="project_id",
        forward_key="person_id",
        related_name="projects",
    )
    instruments: fields.ManyToManyRelation[Instrument] = fields.ManyToManyField(
        "models.Instrument",
        through="project_instrument",
        backward_key="project_id",
        forward_key="instrument_id",
        related_name="projects",
    )

    class Meta:
        table = "project"


class Tariff(Model):
    """A version of an instrument's tariff; `body` is a `twin.tariffs.Tariff` without instrument and start."""

    id = fields.IntField(primary_key=True)
    instrument: fields.ForeignKeyRelation[Instrument] = fields.ForeignKeyField(
        "models.Instrument", related_name="tariffs", on_delete=fields.RESTRICT
    )
    since = fields.DatetimeField(source_field="from")
    body: dict[str, Any] = fields.JSONField()

    class Meta:
        table = "tariff"
