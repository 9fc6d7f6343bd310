"""Text that others wrote, fit to be shown: one printable line that ends somewhere."""

from __future__ import annotations

LONGEST = 2_000  # characters of a line that a plugin or an upstream may fill
_READ = (
    64 * 1024
    # characters that are looked at; far more than LONGEST, so that no secret is cut in two before it is
    # concealed
)


def one_line(text: str, longest: int = LONGEST) -> str:
    """`text` with an escape in the place of each character that does not print; of one longer than
    `longest` the beginning.
    """
    line = text[: longest + 1]
    if not line.isprintable():
        line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
    return line if len(line) <= longest else f"{line[:longest]}..."


def message_of(error: BaseException) -> str:
    """What an error says, on one printable line; its `__str__` may be foreign code too."""
    try:
        text = str(error)
    except Exception:
        return "its message cannot be read"
    return " ".join(
        "".join(letter if letter.isprintable() else " " for letter in text[:_READ]).split()
    )


def described(error: BaseException) -> str:
    """Its type, and what it says."""
    message, name = message_of(error), one_line(type(error).__name__, 200)
    return f"{name}: {message}" if message else name
