"""What can go wrong that a person can put right. The command line prints it and ends with code 2."""


class SimulatorError(Exception):
    """A problem in plain words and what to do about it."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(f"{problem}\n{advice}")
        self.problem = problem
        self.advice = advice
