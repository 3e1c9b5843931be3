"""`python -m controllers_sim`."""

from controllers_sim.cli import main

if __name__ == "__main__":
    main()
