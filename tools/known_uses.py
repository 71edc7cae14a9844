"""Names that nothing in our code mentions, and why each lives all the same. `tools/dead.py` reads this."""

KNOWN: dict[str, str] = {
    "on_connect": "paho calls it",
    "on_connect_fail": "paho calls it",
    "on_disconnect": "paho calls it",
    "on_subscribe": "paho calls it",
    "on_message": "paho calls it",
    "on_publish": "paho calls it",
}
