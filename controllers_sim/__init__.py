"""Simulated controllers: instruments, people, faults, recorded traces and load, over the wire contract alone.

Nothing here imports the service: a misreading of the contract must not be able to hide on both sides.
"""
