"""Relational tables by Tortoise: registry, people, money, bookings. Time series and the books are in `twin.store`."""
