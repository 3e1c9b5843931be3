"""What can be wrong with a backup."""


class BackupError(Exception):
    """A backup cannot be made or restored; the message says why, for the person at the keyboard."""
