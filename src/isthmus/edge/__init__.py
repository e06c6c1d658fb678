"""Effects: one folder an outside thing."""
