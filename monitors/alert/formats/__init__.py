"""The forms that a message takes. Each is a pure function of the message."""
