"""Real parts that are killed, stopped and cut off at random, and a referee who knows what really happened."""
