"""People 人员 and their sign-ins."""

from tortoise import fields
from tortoise.models import Model


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

    class Meta:
        table = "person"


class SignIn(Model):
    """A token in use. Only its digest is kept: who reads the table cannot sign in with it."""

    digest = fields.CharField(max_length=64, primary_key=True)
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField(
        "models.Person", related_name="sign_ins", on_delete=fields.CASCADE
    )
    expires = fields.DatetimeField()

    class Meta:
        table = "sign_in"
