"""`python -m` runs the same program as the installed command."""

from .cli import main

if __name__ == "__main__":
    main()
