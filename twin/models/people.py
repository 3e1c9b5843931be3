"""People 人员, their groups, cards and qualifications, and their sign-ins."""

from typing import TYPE_CHECKING

from tortoise import fields
from tortoise.models import Model

from twin.models.registry import Instrument

if TYPE_CHECKING:
    from twin.models.money import Project


class ResearchGroup(Model):
    """A research group 课题组."""

    id = fields.IntField(primary_key=True)
    code = fields.CharField(max_length=64, unique=True)
    name = fields.CharField(max_length=200)

    class Meta:
        table = "research_group"


class Person(Model):
    """Somebody who is known. `password_hash` is argon2; empty: they cannot sign in."""

    id = fields.IntField(primary_key=True)
    username = fields.CharField(max_length=64, unique=True)
    password_hash = fields.CharField(max_length=300)
    name = fields.CharField(max_length=200)
    role = fields.CharField(max_length=32)
    category = fields.CharField(max_length=16, default="staff")
    active = fields.BooleanField(default=True)
    valid_until = fields.DatetimeField(null=True)
    payer = fields.CharField(max_length=16, default="internal")
    groups: fields.ManyToManyRelation[ResearchGroup] = fields.ManyToManyField(
        "models.ResearchGroup",
        through="person_group",
        backward_key="person_id",
        forward_key="group_id",
        related_name="people",
    )
    operates: fields.ManyToManyRelation[Instrument] = fields.ManyToManyField(
        "models.Instrument",
        through="person_operates",
        backward_key="person_id",
        forward_key="instrument_id",
        related_name="operators",
    )
    projects: fields.ManyToManyRelation["Project"]
    cards: fields.ReverseRelation["Card"]
    qualifications: fields.ReverseRelation["Qualification"]
    bans: fields.ReverseRelation["Ban"]

    class Meta:
        table = "person"


class Card(Model):
    """A card. Only the SHA-256 of its uid is kept."""

    digest = fields.CharField(max_length=64, primary_key=True)
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="cards", on_delete=fields.CASCADE
    )

    class Meta:
        table = "card"


class Qualification(Model):
    """What somebody may do at an instrument; `until` null: without end."""

    id = fields.IntField(primary_key=True)
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="qualifications", on_delete=fields.CASCADE
    )
    instrument: fields.ForeignKeyRelation[Instrument] = fields.ForeignKeyField(
        "models.Instrument", related_name="qualifications", on_delete=fields.CASCADE
    )
    level = fields.CharField(max_length=16)
    since = fields.DatetimeField(source_field="from")
    until = fields.DatetimeField(null=True)

    class Meta:
        table = "qualification"


class Ban(Model):
    """Somebody shut out from an instrument (null: from all)."""

    id = fields.IntField(primary_key=True)
    person_id: int
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="bans", on_delete=fields.CASCADE
    )
    instrument: fields.ForeignKeyNullableRelation[Instrument] = fields.ForeignKeyField(
        "models.Instrument", related_name="bans", null=True, on_delete=fields.CASCADE
    )
    since = fields.DatetimeField(source_field="from")
    until = fields.DatetimeField(null=True)

    class Meta:
        table = "ban"


class SignIn(Model):
    """A token in use. Only its digest is kept: who reads the table cannot sign in with it."""

    digest = fields.CharField(max_length=64, primary_key=True)
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="sign_ins", on_delete=fields.CASCADE
    )
    expires = fields.DatetimeField()

    class Meta:
        table = "sign_in"
