"""The log told to a new fleet: what follows compared with what is stored, or under other policies and prices."""
