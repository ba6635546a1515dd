"""`python -m scaffold` is the same program as `scaffold`."""

from scaffold.cli import main

if __name__ == "__main__":
    main()
