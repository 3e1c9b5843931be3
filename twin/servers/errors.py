"""What can go wrong with private servers, told in one sentence that says what to do."""


class ServersError(Exception):
    """The servers could not be provided; the message is meant for the person at the keyboard."""
