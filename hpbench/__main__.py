"""``python -m hpbench``."""

from hpbench.cli import main

if __name__ == "__main__":
    main()
