"""A whole site in virtual time, with faults, and an oracle that says by brute force what should have come of it.

The oracle shares values with the twin (policies, people, tariffs, messages) and none of its rules.
"""
