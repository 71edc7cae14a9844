"""Names that nothing in our code mentions, and why each lives all the same. `tools/dead.py` reads this."""

KNOWN: dict[str, str] = {
    "on_connect": "paho calls it",
    "on_connect_fail": "paho calls it",
    "on_disconnect": "paho calls it",
    "on_subscribe": "paho calls it",
    "on_message": "paho calls it",
    "on_publish": "paho calls it",
    "select": "aiosql calls it",
    "select_one": "aiosql calls it",
    "select_value": "aiosql calls it",
    "insert_update_delete": "aiosql calls it",
    "command_class": "click reads it: what a group makes of a function",
    "group_class": "click reads it: what a group within a group is",
    "_init_shared_socket": "granian calls it: ours gives it a socket that already listens",
    "_ssp": "granian reads it: its shared socket",
    "_shd": "granian reads it: its shared socket, held",
    "capture_signals": "uvicorn calls it: ours leaves signals to the part",
    "should_exit": "uvicorn reads it",
    "SIGNED_IN": "an audience of the architecture; nobody can sign in yet",
}
