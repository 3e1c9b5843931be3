"""Relational tables by Tortoise: registry and people. Time series and the ledger are in `twin.store`."""
