"""Bookings 预约 of instruments, and times when they are out of service."""

from tortoise import fields
from tortoise.models import Model

from twin.models.money import Project
from twin.models.people import Person, ResearchGroup
from twin.models.registry import Instrument


class Booking(Model):
    """An instrument kept for somebody. The table itself lets no two that stand overlap."""

    id = fields.IntField(primary_key=True)
    instrument: fields.ForeignKeyRelation[Instrument] = fields.ForeignKeyField(
        "models.Instrument", related_name="bookings", on_delete=fields.RESTRICT
    )
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="bookings", on_delete=fields.RESTRICT
    )
    group: fields.ForeignKeyNullableRelation[ResearchGroup] = fields.ForeignKeyField(
        "models.ResearchGroup", related_name="bookings", null=True, on_delete=fields.RESTRICT
    )
    project: fields.ForeignKeyNullableRelation[Project] = fields.ForeignKeyField(
        "models.Project", related_name="bookings", null=True, on_delete=fields.RESTRICT
    )
    start = fields.DatetimeField()
    until = fields.DatetimeField()
    estimate_cny = fields.DecimalField(max_digits=14, decimal_places=2)
    state = fields.CharField(max_length=16, default="confirmed")
    created = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "booking"


class Downtime(Model):
    """An instrument out of service; `until` null: nobody knows until when."""

    id = fields.IntField(primary_key=True)
    instrument_id: int
    instrument: fields.ForeignKeyRelation[Instrument] = fields.ForeignKeyField(
        "models.Instrument", related_name="downtimes", on_delete=fields.CASCADE
    )
    cause = fields.CharField(max_length=16)
    since = fields.DatetimeField(source_field="from")
    until = fields.DatetimeField(null=True)

    class Meta:
        table = "downtime"
