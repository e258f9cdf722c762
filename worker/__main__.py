"""``python -m worker …`` is ``tillbell …``."""

from worker.cli import main

if __name__ == "__main__":
    main()
