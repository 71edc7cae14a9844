"""`python -m haidang` is `haidang`."""

from haidang.cli import main

if __name__ == "__main__":
    main()
